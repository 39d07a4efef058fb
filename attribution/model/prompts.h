// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Prompt pairs as tensors, with what the metric asks of each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "attribution/model/batching.h"
#include "attribution/model/metric.h"
#include "attribution/model/transformer.h"

namespace tributary {

/// Prompts of one token length.
struct Prompts {
  at::Tensor clean;           //!< [pair, pos] int64
  at::Tensor counterfactual;  //!< [pair, pos] int64; undefined when unpaired
  MetricTokens tokens;        //!< of y and y' [pair, 2] or y [pair, 1]; undefined: the top_k best of the clean run
  std::int64_t top_k = 0;
  /// Leading positions in which every pair's two prompts agree, less than all: computed once. Changes no bit.
  std::int64_t shared = 0;

  [[nodiscard]] Prompts narrow(std::int64_t first, std::int64_t count) const;
};

/// The metric's tokens of each pair, coefficients in the model's score dtype: given, or the top_k best logits of the
/// clean prompts' last position.
MetricTokens metric_tokens(const Transformer& model, const Prompts& prompts, const Batching& batching);

}  // namespace tributary
