// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One run of a sweep: made ready, and written once it is computed.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "io/config.h"
#include "io/results.h"
#include "runner/cluster/comm.h"
#include "runner/commands/found_results.h"
#include "runner/commands/run_arguments.h"
#include "runner/commands/run_record.h"
#include "runner/commands/sweep_folder.h"
#include "runner/job/job.h"
#include "runner/job/model.h"
#include "runner/journal/grouping.h"
#include "runner/results/results_table.h"

namespace tributary {

class Run {
 public:
  Run(const RunArguments& arguments, SweepFolder& sweep, const Communicator& comm, const Settings& settings,
      std::string folder);

  /// Everything that can go wrong before work starts; takes the sweep folder's lock unless the results are there.
  /// Collective; throws.
  void prepare(ModelShelf& shelf);
  /// The same to write results from a journal that holds this record of it, and without a lock: the journal stays as it
  /// is. Collective; throws.
  void prepare_to_finalize(ModelShelf& shelf, const std::optional<RunRecord>& record,
                           const std::filesystem::path& where);

  [[nodiscard]] const Job& job() const { return job_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] Candidate candidate() const { return {{folder_, job_.identities.scores}, job_.group, complete_}; }
  /// Whether the folder holds these very results already; on every rank.
  [[nodiscard]] bool complete() const { return complete_; }

  /// Prints what the user should know before the run starts; notes on pairs only where they are not `said`, as runs
  /// have them in common. Rank 0.
  void warn(std::set<std::string>& said) const;
  /// Calls a function that computes the run's outcome. Throws RunFailed with the run's folder where that does.
  [[nodiscard]] Outcome named_in_failures(const std::function<Outcome()>& compute) const;
  /// Rank 0: what is written of an outcome, and writing it.
  [[nodiscard]] ResultsFile results(const Outcome& outcome, const Provenance& provenance) const;
  void write(const ResultsFile& results) const;
  /// Its results are there now. Every rank.
  void finish() { complete_ = true; }
  /// Prints the run's table. Rank 0.
  void show_complete() const;

 private:
  [[nodiscard]] FoundResults look() const;
  /// What was found becomes known to all ranks. Collective.
  void settle(const FoundResults& found);
  /// The run's results, moved here, where an earlier form of the sweep called it otherwise. Rank 0.
  FoundResults look_under_other_names();
  [[nodiscard]] std::filesystem::path output() const;
  void note_unused() const;
  void note_numbers(std::set<std::string>& said) const;
  void show(const ResultsFile& results) const;

  const RunArguments& arguments_;
  const Communicator& comm_;
  SweepFolder& sweep_;
  Settings settings_;
  std::string folder_;  // relative to the sweep's
  Job job_;
  std::string evaluates_again_;  // what is other than in the results there whose scores are these
  bool complete_ = false;
  bool aside_ = false;  // rank 0: results are there, but not as they were written
};

}  // namespace tributary
