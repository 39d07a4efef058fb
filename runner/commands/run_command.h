// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `tributary run` and its dry cousins: from a sweep file to results, on one rank or many.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage.h"
#include "runner/journal/output_folder.h"
#include "runner/machine/device.h"
#include "runner/stages/execution.h"

namespace tributary {

enum class OnFailure { go_on, stop };

struct RunArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;  //!< "key.path=value"
  std::filesystem::path out;           //!< empty: results/<name>
  std::optional<std::int64_t> only;    //!< the number of the only run to compute, with a journal of its own
  Fresh fresh = Fresh::no;
  OnFailure on_failure = OnFailure::go_on;
  Cards cards = Cards::one_rank_each;
  Order order = Order::Planned;  //!< a test switch: no bit depends on it
  std::uint64_t order_seed = 0;
  Compute compute = Compute::missing;
  std::int64_t plan_ranks = 1;               //!< `plan`: the ranks to estimate for
  double silence = 300;                      //!< seconds without a sign of life after which a rank is named
  std::optional<std::chrono::seconds> time;  //!< what the run may take from the start of the process
};

/// Runs every run of the sweep, prints its table on rank 0. Returns the exit code (0, 1, 2, 3 or 75), the same on every
/// rank.
int run_command(const RunArguments& arguments, const Communicator& comm);

/// Writes the results of all runs that a journal holds completely. Exit code as above: 2 where units are missing.
int finalize_command(const std::filesystem::path& out, const Communicator& comm);

/// Reads and checks everything a run would, computes nothing, and prints what would be done. Throws UserError.
void plan_command(const RunArguments& arguments);
/// Checks the sweep file alone. Throws UserError.
void validate_command(const RunArguments& arguments);

}  // namespace tributary
