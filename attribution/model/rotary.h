// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34) in the half-split form that
// Hugging Face checkpoints use, with the scalings of frequencies that they name.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/model/architecture.h"

namespace tributary {

/// Angular frequencies [turned dimensions / 2], float64: theta^(-2i / turned dimensions), scaled as the checkpoint
/// says. dynamic and longrope depend on how many tokens the prompt has, `length`: every position of it turns by the
/// same ones.
at::Tensor rotary_frequencies(const Rotary& rotary, std::int64_t d_head, std::int64_t length);

/// cos and sin of position × frequency, both halves, times the attention factor: two tensors [position, turned
/// dimensions] of `options`, computed in float64.
struct RotaryTables {
  at::Tensor cosine, sine;
  std::int64_t d_head = 0;  //!< of the heads they turn
};
/// Of all positions of prompts of `length` tokens.
RotaryTables rotary_tables(const Rotary& rotary, std::int64_t d_head, std::int64_t length,
                           const at::TensorOptions& options);

}  // namespace tributary
