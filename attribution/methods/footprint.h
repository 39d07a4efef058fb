// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Memory that tensors take, measured: what batches are planned from.
#pragma once

#include <cstdint>
#include <functional>

#include "attribution/model/transformer.h"

namespace tributary {

/// The most bytes that tensors made by `body` on this thread held at once, on any device.
std::int64_t peak_tensor_bytes(const std::function<void()>& body);

/// What one row (a position of a sequence) of a network call takes, in bytes, measured on prompts of `length` tokens.
struct RowBytes {
  double backward = 0;  //!< forward with a tape, and backward, from block 0
  double forward = 0;   //!< forward alone
};
RowBytes measure_row_bytes(const Transformer& model, std::int64_t length);

}  // namespace tributary
