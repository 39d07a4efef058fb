// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The quadrature pilot's search: candidates in order of cost, judged by sums of scores alone.
#pragma once

#include <functional>
#include <vector>

#include "attribution/methods/path.h"
#include "attribution/methods/table.h"

namespace tributary::detail {

/// What one example's sum is held against: the true difference, and what the tolerance is relative to at least.
struct PilotGoal {
  double difference, floor;
};

/// By example, the index of the cheapest candidate within the method's tolerance (the last one when none is). Points
/// that candidates share are evaluated once.
std::vector<int> cheapest_candidates(const PathNetwork& path, const Method& method, const std::vector<PilotGoal>& goals,
                                     const std::function<void()>& pause);

}  // namespace tributary::detail
