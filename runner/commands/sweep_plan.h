// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a sweep would do, as data: its runs, the passes through the network that they share, and what these take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/config.h"
#include "runner/cluster/comm.h"
#include "runner/commands/estimate.h"
#include "runner/commands/found_results.h"
#include "runner/commands/run_arguments.h"
#include "runner/job/memory_plan.h"
#include "runner/job/model.h"
#include "runner/job/plan.h"

namespace tributary {

struct PlannedRun {
  std::size_t number = 0;  //!< in the sweep, from 0
  std::string method;
  std::size_t train = 0, test = 0, skipped = 0;  //!< pairs
  std::int64_t nodes = 0;
  std::size_t units = 0;
  FoundResults::What results = FoundResults::What::none;  //!< that its folder holds already
  std::filesystem::path folder;
};

/// Runs that are computed together.
struct PlannedPass {
  std::size_t runs = 0;
  std::size_t units = 0;  //!< of attribution
  int threads = 1;        //!< worker threads of a rank
  MemoryPlan memory;
  Estimate estimate;
};

struct PlannedGroup {
  std::vector<PlannedRun> runs;
  std::vector<PlannedPass> passes;
};

/// Plans a sweep group by group, each model read once for the groups in a row that name it.
class SweepPlanner {
 public:
  /// Both must outlive it.
  SweepPlanner(const RunArguments& arguments, const std::vector<Settings>& sweep)
      : arguments_(arguments), sweep_(sweep) {}

  /// Of runs that may share passes (grouped(), sweep_runs.h). Throws UserError.
  PlannedGroup plan(const std::vector<const Settings*>& candidates);

 private:
  [[nodiscard]] PlannedRun planned(const Settings& settings, const Job& job) const;
  [[nodiscard]] PlannedPass planned(const RunGroup& group) const;

  const RunArguments& arguments_;
  const std::vector<Settings>& sweep_;
  Communicator alone_;
  ModelShelf shelf_{alone_};
};

}  // namespace tributary
