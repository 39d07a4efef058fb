// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs of a sweep that share model and pairs, computed together: from the check of the machine to results.
#pragma once

#include <cstddef>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage_options.h"
#include "runner/cluster/stopping.h"
#include "runner/commands/group_outcomes.h"
#include "runner/commands/progress_display.h"
#include "runner/commands/run_arguments.h"
#include "runner/commands/sweep_folder.h"
#include "runner/commands/sweep_run.h"
#include "runner/job/memory_plan.h"
#include "runner/journal/group_journal.h"
#include "runner/stages/batch_rows.h"
#include "runner/stages/timings.h"

namespace tributary {

class GroupRun {
 public:
  /// All must outlive it.
  GroupRun(const std::vector<Run*>& runs, SweepFolder& sweep, const RunArguments& arguments, const Communicator& comm,
           StopFlag& stop);

  /// Computes the runs, and writes the results of those that are not complete: one that cannot be finished leaves the
  /// others. The exit code of the first one that could not be. seconds_before: what getting here took, of a process's
  /// first group. Collective; throws what concerns all runs.
  int compute(double seconds_before);

  /// Rank 0: whether a unit was computed, of any stage.
  [[nodiscard]] bool progressed() const { return progressed_; }

 private:
  void check_machine();
  void open_journal();
  void plan_calls();
  void warn_of_little_memory(int threads) const;
  void keep_records();
  void found_processors(const std::set<std::string>& found);
  [[nodiscard]] bool may_share_units() const;
  [[nodiscard]] StageOptions stage_options();
  void require_same_model(std::size_t i);
  void finish(std::size_t i, GroupOutcomes& outcomes);

  [[nodiscard]] bool first_rank() const { return comm_.rank() == 0; }
  [[nodiscard]] const Job& job() const { return *jobs_.front(); }

  const std::vector<Run*>& runs_;
  SweepFolder& sweep_;
  const RunArguments& arguments_;
  const Communicator& comm_;
  StopFlag& stop_;
  RunGroup jobs_;
  std::string started_;
  std::ostream terminal_;  // for what moves its cursor
  ProgressDisplay display_;
  Timings timings_;  // of what the runs share
  int threads_ = 1;
  bool bits_hold_ = true;
  MemoryPlan memory_;
  std::optional<GroupJournal> journal_;  // once opened
  std::optional<BatchRows> rows_;        // once planned
  Provenance computing_;                 // rank 0, once planned
  std::set<std::string> processors_;     // that computed what the group is made of; rank 0
  bool progressed_ = false;
};

}  // namespace tributary
