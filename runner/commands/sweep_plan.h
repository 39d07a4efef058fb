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
#include "runner/job/plan.h"
#include "runner/job/sketch.h"

namespace tributary {

struct PlannedRun {
  std::size_t number = 0;  //!< in the sweep, from 0
  std::string method;
  std::size_t train = 0, test = 0, skipped = 0;  //!< pairs
  std::string nodes;  //!< that are scored; how many features are, is known when they are computed
  std::size_t units = 0;
  FoundResults::What results = FoundResults::What::none;  //!< that its folder holds already
  std::filesystem::path folder;
};

/// Runs that are computed together.
struct PlannedPass {
  std::size_t runs = 0;
  std::size_t units = 0;        //!< of attribution
  int threads = 1;              //!< worker threads of a rank
  MemoryPlan memory;            //!< of rank 0
  MemoryPlan memory_of_others;  //!< of any other rank
  std::int64_t nodes = 1;
  Estimate estimate;
};

struct PlannedGroup {
  std::vector<PlannedRun> runs;
  std::vector<PlannedPass> passes;
  std::vector<std::string> dictionaries;  //!< of features: lines, each once
  std::vector<std::string> notes;         //!< what the user should know of them, each once
};

/// The machines that a plan is for.
struct Machines {
  std::int64_t ranks = 1;
  std::int64_t nodes = 0;    //!< 0: as many as the ranks need
  bool cards = false;        //!< each rank has one
  std::uint64_t memory = 0;  //!< bytes a rank may take; 0: as the file says

  /// The nodes there are, or that the ranks need so that every worker thread has a core, nodes being like this one;
  /// with cards one.
  [[nodiscard]] std::int64_t nodes_with(int threads) const;
};

/// Throws UserError where the options contradict each other.
Machines machines_of(const PlannedMachines& asked);

/// Plans a sweep group by group, from config.json, tokenizer.json and the pairs: no weights are read.
class SweepPlanner {
 public:
  /// Arguments and sweep must outlive it.
  SweepPlanner(const RunArguments& arguments, const std::vector<Settings>& sweep)
      : arguments_(arguments), sweep_(sweep), machines_(machines_of(arguments.planned)) {}

  [[nodiscard]] const Machines& machines() const { return machines_; }
  /// Of runs that may share passes (grouped(), sweep_runs.h). Throws UserError.
  PlannedGroup plan(const std::vector<const Settings*>& candidates);

 private:
  [[nodiscard]] Job sketched(const Settings& settings);
  [[nodiscard]] PlannedRun planned(const Settings& settings, Job& job) const;
  [[nodiscard]] PlannedPass planned(const RunGroup& group) const;

  const RunArguments& arguments_;
  const std::vector<Settings>& sweep_;
  Machines machines_;
  Communicator alone_;
  SketchShelf shelf_;
};

}  // namespace tributary
