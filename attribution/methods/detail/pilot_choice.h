// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The quadrature pilot's search: candidates in order of cost, judged by sums of scores, or conductance by conductance.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "attribution/methods/attribute.h"
#include "attribution/methods/path.h"
#include "attribution/methods/table.h"

namespace tributary::detail {

/// What one example's sum is held against: the true difference, and what the tolerance is relative to at least.
struct PilotGoal {
  double difference, floor;
};

/// A candidate by its index, and its error as a multiple of what the tolerance allows. The last one where none is
/// within tolerance: then ratio > 1.
struct PilotChoice {
  int candidate = 0;
  double ratio = 0;
};

/// By example, the cheapest candidate whose sum is within the method's tolerance. Points that candidates share are
/// evaluated once.
std::vector<PilotChoice> cheapest_candidates(const PathNetwork& path, const Method& method,
                                             const std::vector<PilotGoal>& goals, const std::function<void()>& pause);

/// By example, the cheapest candidate whose conductances are within tolerance (relative L1) of those of the candidate
/// before it: they sum to no true difference, and that input gradients do says nothing of them. Never the first.
std::vector<PilotChoice> cheapest_conductance(const PathNetwork& path, const Method& method, std::size_t examples,
                                              const std::function<void()>& pause);

/// As tables [example mod pairs, example / pairs].
PilotChoices tables_of(const std::vector<PilotChoice>& choices, std::int64_t pairs);

}  // namespace tributary::detail
