// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How well the model does the task itself: what it says on both prompts of a pair, with nothing changed in it. Scores
// explain an answer only where the model gives it.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/model/prompts.h"

namespace tributary {

/// One chunk of pairs: columns are the clean and the counterfactual prompt.
struct PerformanceUnit {
  at::Tensor metric;     //!< [pair, 2] m in logits, float64; NaN where unpaired
  at::Tensor likeliest;  //!< [pair, 2] int64: the most likely next token; -1 where unpaired
  double flops = 0;      //!< that were needed
};

/// The metric's tokens of both prompts are those of the clean one (metric_tokens).
PerformanceUnit measure_performance(const Transformer& model, const Prompts& prompts, const Batching& batching);

}  // namespace tributary
