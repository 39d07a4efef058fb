// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How well the model does the task, on training and held-out pairs: once for all runs of a group.
#pragma once

#include <vector>

#include "runner/stages/attribution_stage.h"

namespace tributary {

/// Of all pairs, the training pairs first; rank 0. Columns are the clean and the counterfactual prompt; NaN: there is
/// none, or it has no answer of its own.
struct PerformanceOutcome {
  PairTable metric;  //!< [pair, 2] logits
  /// [pair, 2] 1: the model gives the prompt's own answer, 0: it does not. With metric: logit-difference its logit is
  /// larger than the other answer's, else it is the most likely next token.
  PairTable correct;
  PairTable likeliest;  //!< [pair, 2] token ids of the most likely next token; −1: not asked, or no such prompt
};

/// training_metric: [pair, 2] of the training pairs, as attribution has computed it (rank 0): where the metric is a
/// difference of the two answers its sign tells who is right, so only the held-out prompts are run. Collective.
PerformanceOutcome run_performance(const Execution& shared, const Job& job, const PairTable& training_metric);

}  // namespace tributary
