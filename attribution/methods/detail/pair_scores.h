// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of single pairs, taken out of a micro-batch before they are summed.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "attribution/methods/attribute.h"

namespace tributary::detail {

/// UnitScores::sampled of scores [pair, layer, last positions, neuron] float64 of nodes at `positions` positions.
at::Tensor sampled_of(const at::Tensor& scores, const TaskOptions& options, std::int64_t positions);

/// The same of features, from one pair's scores of one dictionary, a number a key; the other places of its row [n] stay
/// as they are. positions: of the prompts, or 1 with Positions::sum.
void write_sampled(const SparseScores& scores, const Task& task, std::int64_t dictionary, std::int64_t positions,
                   double* row);

/// UnitScores::kept of the same. Equal |score|s by place, NaN never.
at::Tensor kept_of(const at::Tensor& scores, const TaskOptions& options, std::int64_t positions);

/// UnitScores::kept_features of features' scores by pair, one number a key. Of equal |score|s the first keys are kept.
at::Tensor kept_features_of(const std::vector<SparseScores>& pairs, const Keep& keep);

}  // namespace tributary::detail
