// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a unit of attribution hands back for all its runs and kinds of nodes, and how the folded sums and rows of a
// stage become theirs.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "runner/stages/attribution_stage.h"

namespace tributary {

/// The tasks of a unit as places of a run and of one of its kinds, in the order of their scores. Features come with
/// their errors' task.
std::vector<std::pair<std::size_t, std::size_t>> tasks_of(const std::vector<AttributionOutcome>& outcomes);

/// Sums, rows and sparse sums of a unit that has computed those tasks. outcomes: the group's, with their layouts.
UnitResult unit_result(const UnitOutcome& unit, const RunGroup& runs, const std::vector<AttributionOutcome>& outcomes);

/// Gives every run and kind its part of a stage's results: scores on every rank, tables on rank 0. What has been shared
/// out is freed.
void share_out(const Execution& execution, const RunGroup& runs, const StagePlan& plan, StageResult& result,
               std::vector<AttributionOutcome>& outcomes);

}  // namespace tributary
