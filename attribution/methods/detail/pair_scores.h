// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of single pairs, taken out of a micro-batch before they are summed.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/methods/attribute.h"

namespace tributary::detail {

/// UnitScores::sampled of scores [pair, layer, last positions, neuron] float64 of nodes at `positions` positions.
at::Tensor sampled_of(const at::Tensor& scores, const TaskOptions& options, std::int64_t positions);

/// UnitScores::kept of the same. Equal |score|s by place, NaN never.
at::Tensor kept_of(const at::Tensor& scores, const TaskOptions& options, std::int64_t positions);

}  // namespace tributary::detail
