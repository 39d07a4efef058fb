// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/endings.h"

#include <c10/util/Exception.h>

#include <cstdint>
#include <exception>
#include <iostream>
#include <set>
#include <vector>

#include "common/errors.h"
#include "io/checkpoint.h"
#include "runner/cluster/stopping.h"
#include "runner/commands/exit_codes.h"
#include "runner/commands/sweep_folder.h"
#include "runner/report/report.h"
#include "runner/stages/stage_source.h"

namespace tributary {
namespace {

/// What went wrong on this rank, as text and exit code; code 0: nothing.
struct Trouble {
  int code = exit_done;
  std::string text;
};

}  // namespace

int together(const Communicator& comm, const std::function<void()>& body) {
  std::set<std::string> told;
  return together(comm, body, told);
}

int together(const Communicator& comm, const std::function<void()>& body, std::set<std::string>& told) {
  Trouble trouble;
  try {
    body();
  } catch (const UserError& error) {
    trouble = {exit_usage, error.what()};
  } catch (const Stopped& stopped) {
    trouble = {exit_stopped, std::string(stopped.what()) +
                                 "; finished units are kept, and the same command goes on from there (without "
                                 "--fresh)"};
  } catch (const RunFailed& error) {
    trouble = {exit_failed_units, error.what()};
  } catch (const FailedElsewhere&) {
    trouble = {exit_internal, ""};
  } catch (const CheckpointChanged& error) {
    if (comm.size() > 1) throw;
    trouble = {exit_files_changed, error.what()};
  } catch (const c10::Error& error) {
    if (comm.size() > 1) throw;
    trouble = {exit_internal, error.what_without_backtrace()};  // its frames mean nothing to a user
  } catch (const std::exception& error) {
    if (comm.size() > 1) throw;
    trouble = {exit_internal, error.what()};
  }
  const std::vector<std::int64_t> codes = comm.gather(static_cast<std::int64_t>(trouble.code));
  const std::vector<std::string> texts = comm.gather(trouble.text);
  std::vector<std::int64_t> worst{exit_done};
  for (std::size_t rank = 0; rank < codes.size(); ++rank) {
    if (codes[rank] == exit_done) continue;
    const bool first = worst[0] == exit_done || (worst[0] == exit_internal && codes[rank] != exit_internal);
    if (first) worst[0] = codes[rank];
    // Rank 0 has handed out the work and knows why it ended; to the others every stop is its request.
    if (rank > 0 && codes[rank] == exit_stopped && codes[0] == exit_stopped) continue;
    if (!texts[rank].empty() && told.insert(texts[rank]).second) std::cerr << "tributary: " << texts[rank] << '\n';
  }
  comm.broadcast(worst);
  return static_cast<int>(worst[0]);
}

std::string ending_of(int code) {
  switch (code) {
    case exit_done:
      return "finished";
    case exit_stopped:
      return "stopped; the same command goes on";
    case exit_no_progress:
      return "stopped before anything was finished";
    case exit_files_changed:
      return "ended because files of the model were changed meanwhile";
    case exit_failed_units:
      return "finished, but for runs that failed";
    default:
      return "ended with an error (exit " + std::to_string(code) + ")";
  }
}

void draw_report(const std::filesystem::path& folder) {
  try {
    report_command(folder);
  } catch (const std::exception& error) {
    warn_user("no report was written: " + std::string(error.what()) + "; `tributary report " + folder.string() +
              "` tries again");
  }
}

}  // namespace tributary
