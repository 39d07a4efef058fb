// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34) in the half-split form that
// Hugging Face checkpoints use, with the linear and Llama-3 frequency scalings.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/model/architecture.h"

namespace tributary {

/// Angular frequencies [d_head / 2], float64: theta^(-2i / d_head), scaled as the checkpoint says.
at::Tensor rotary_frequencies(const Rotary& rotary, std::int64_t d_head);

/// cos and sin of position × frequency, both halves: two tensors [positions, d_head] of `options`, computed in float64.
struct RotaryTables {
  at::Tensor cosine, sine;
};
RotaryTables rotary_tables(const Rotary& rotary, std::int64_t d_head, std::int64_t positions,
                           const at::TensorOptions& options);

}  // namespace tributary
