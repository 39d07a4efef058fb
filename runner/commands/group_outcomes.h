// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// From the stages of a group of runs to what each run has computed, wherever the stages' results come from.
#pragma once

#include <cstddef>
#include <vector>

#include "runner/job/plan.h"
#include "runner/results/results_table.h"
#include "runner/stages/agreement_stage.h"
#include "runner/stages/attribution_stage.h"
#include "runner/stages/execution.h"
#include "runner/stages/performance_stage.h"

namespace tributary {

class GroupOutcomes {
 public:
  /// Runs the stages that the runs share. The execution and the jobs must outlive this. Collective; throws.
  GroupOutcomes(const Execution& execution, RunGroup runs);

  /// Runs the stages that run number i has for itself, and times them in `own`. Rank 0 has the outcome, which refers to
  /// this. Collective; throws RunFailed where this run has no result and the others may.
  Outcome of(std::size_t i, Timings& own);

 private:
  const Execution& execution_;
  RunGroup runs_;
  std::vector<AttributionOutcome> attributions_;
  PerformanceOutcome performance_;
  std::vector<std::vector<ComparedSample>> compared_;  // by run and kind of nodes
};

}  // namespace tributary
