// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a stage is told and what it gives back.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "runner/cluster/progress.h"
#include "runner/cluster/scheduler.h"
#include "runner/cluster/stopping.h"
#include "runner/cluster/units.h"
#include "runner/cluster/workers.h"

namespace tributary {

struct StageOptions {
  std::string name;         //!< shown in progress and messages
  WorkerThreads threads{};  //!< of this rank; may differ between ranks
  Order order = Order::Planned;
  std::uint64_t seed = 0;                 //!< for Order::Shuffled
  double block_seconds = 10;              //!< longest block, see SchedulerOptions
  StopFlag* stop = nullptr;               //!< a stop raised on one rank is raised on all
  std::function<void()> on_thread_start;  //!< run once in each worker thread before its first unit
  RunsAtOnce at_once{};                   //!< all ranks: the same numbers; changes no bit
  /// Writes a block that holds new sums or rows, on the rank and in the thread that computed it, before rank 0 hears of
  /// it. What it throws ends the stage on all ranks.
  WriteBlock write;

  // Rank 0 only, called by its main thread.
  std::function<void(const Progress&)> on_progress;
  /// Called before the start until it gives nothing: results an earlier start has stored.
  std::function<std::optional<BlockResult>()> restore;
  /// Says that a rank has given no sign of life for `silence` seconds while it has work.
  std::function<void(const std::string&)> on_warning;
  double silence = std::numeric_limits<double>::infinity();  //!< on every rank: signs of life come more often
  std::vector<std::string> hosts;  //!< by rank, to name them and to try again on another one; empty: unknown
};

struct StageResult {
  // Filled on rank 0 only.
  std::vector<std::vector<double>> sums;  //!< by lane; empty for a lane that a stop left incomplete
  std::vector<SparseSum> sparse;          //!< by lane, beside sums
  std::vector<std::vector<double>> rows;  //!< by unit; empty for units that failed or were not reached
  std::vector<FailedUnit> failed;         //!< by unit id; their lanes are folded without them
  std::int64_t restored = 0;              //!< units that an earlier start had stored
  double computing = 0;                   //!< seconds that all worker threads spent in units
  double earlier_seconds = 0;             //!< wall time that earlier starts spent on this stage

  // The same on all ranks.
  bool any_failed = false;
  bool stopped = false;  //!< units are missing because of a stop
};

}  // namespace tributary
