// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// From a checkpoint folder to a network: the bridge between io (bytes) and attribution (tensors).
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "attribution/model/transformer.h"
#include "io/checkpoint.h"

namespace tributary {

/// "float32" → at::kFloat; ContractViolation for words the key table does not allow.
at::ScalarType dtype_named(const std::string& name);

/// The network of a checkpoint. Weights that are stored in `type` stay in the mapping; others are converted.
/// Throws UserError: unknown architecture, missing, misshapen or unused tensors.
std::shared_ptr<const Transformer> load_transformer(const Checkpoint& checkpoint, at::ScalarType type,
                                                    const at::Device& device);

}  // namespace tributary
