// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One run of a sweep: made ready, computed with others that share its model and pairs, written.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runner/commands/run_command.h"
#include "runner/commands/sweep_folder.h"
#include "runner/results/provenance.h"
#include "runner/results/results_table.h"

namespace tributary {

class Run {
 public:
  Run(const RunArguments& arguments, SweepFolder& sweep, const Communicator& comm, const Settings& settings,
      std::string folder);

  /// Everything that can go wrong before work starts; takes the sweep folder's lock unless the results are there.
  /// Collective; throws.
  void prepare(ModelShelf& shelf);

  [[nodiscard]] const Job& job() const { return job_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] Candidate candidate() const { return {{folder_, job_.identity}, job_.group, complete_}; }
  /// Whether the folder holds these very results already; on every rank.
  [[nodiscard]] bool complete() const { return complete_; }

  /// Prints what the user should know before the run starts. Rank 0.
  void warn() const;
  /// Rank 0.
  void write(const Outcome& outcome, const Provenance& provenance) const;
  /// Prints the run's table. Rank 0.
  void show_complete() const;

 private:
  void note_unused(const std::string& key) const;
  void show(const ResultsFile& results) const;

  const RunArguments& arguments_;
  const Communicator& comm_;
  SweepFolder& sweep_;
  const Settings& settings_;
  std::string folder_;  // relative to the sweep's
  Job job_;
  bool complete_ = false;
};

/// Computes the runs of one group, and writes the results of those that are not complete. seconds_before: what getting
/// here took, of a process's first group. Collective; throws.
void compute_runs(const std::vector<const Run*>& runs, SweepFolder& sweep, const RunArguments& arguments,
                  const Communicator& comm, StopFlag& stop, double seconds_before);

/// Worker threads of this rank for a job. Collective.
int worker_threads(const Job& job, const Communicator& comm);

}  // namespace tributary
