// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/run_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "io/results.h"
#include "runner/cluster/stopping.h"
#include "runner/commands/endings.h"
#include "runner/commands/exit_codes.h"
#include "runner/commands/group_run.h"
#include "runner/commands/sweep_run.h"
#include "runner/commands/sweep_runs.h"
#include "runner/report/report.h"
#include "runner/results/provenance.h"

namespace tributary {
namespace {

/// Says what will be run, where it is more than one.
void list_runs(const std::vector<Settings>& settings) {
  if (settings.size() < 2) return;
  std::cout << settings.size() << " runs\n";
  for (std::size_t i = 0; i < settings.size(); ++i) std::cout << fmt::format("  {:>4}  {}\n", i, settings[i].label());
  std::cout << std::endl;
}

/// The names of all runs of the sweep, for reports on a part of them.
void keep_names(const RunArguments& arguments) {
  RunArguments whole = arguments;
  whole.only.reset();
  const std::vector<Settings> settings = checked_runs(whole);
  std::vector<std::string> folders;
  for (const Settings& one : settings) folders.push_back(folder_in_base(one));
  keep_run_names(base_of(whole, settings.front()), settings.front().at<std::string>("name"), folders);
}

bool any_results(const RunArguments& arguments, const std::vector<Settings>& settings) {
  return std::any_of(settings.begin(), settings.end(), [&arguments](const Settings& one) {
    return std::filesystem::exists(results_path(folder_of(arguments, one)));
  });
}

/// Seconds from the process's start to its first group; 0 for those after it.
class StartUp {
 public:
  double take() { return std::exchange(first_, false) ? seconds_since_process_start() : 0; }

 private:
  bool first_ = true;
};

/// Shows what is complete, and computes the rest group by group. Returns the first exit code that is not 0.
int run_candidates(const std::vector<std::unique_ptr<Run>>& runs, SweepFolder& sweep, const RunArguments& arguments,
                   const Communicator& comm, StopFlag& stop, StartUp& start_up) {
  std::vector<Candidate> candidates;
  for (const auto& run : runs) {
    candidates.push_back(run->candidate());
    if (comm.rank() == 0 && run->complete()) run->show_complete();
  }
  std::vector<std::vector<std::size_t>> groups;
  int worst = together(comm, [&] { groups = sweep.group(candidates, arguments.fresh); });
  for (const std::vector<std::size_t>& members : groups) {
    std::vector<Run*> group;
    for (const std::size_t member : members) group.push_back(runs[member].get());
    int code = exit_done;
    const int of_all =
        together(comm, [&] { code = GroupRun(group, sweep, arguments, comm, stop).compute(start_up.take()); });
    if (of_all != exit_done) code = of_all;
    if (worst == exit_done) worst = code;
    if (code == exit_stopped) return code;
  }
  return worst;
}

}  // namespace

int run_command(const RunArguments& arguments, const Communicator& comm) {
  std::vector<Settings> settings;
  int code = together(comm, [&] { settings = checked_runs(arguments); });
  if (code != exit_done) return code;
  StopFlag stop;
  if (arguments.time) {
    const std::chrono::duration<double> gone(seconds_since_process_start());
    stop.set_deadline(*arguments.time - std::chrono::duration_cast<std::chrono::nanoseconds>(gone));
  }
  const ScopedSignalHandler handler(stop);
  ModelShelf shelf(comm);
  std::set<std::string> folders;
  for (const Settings& one : settings) folders.insert(arguments.only ? "." : folder_in_base(one));
  SweepFolder sweep(base_of(arguments, settings.front()), comm, std::move(folders));
  if (comm.rank() == 0) list_runs(settings);
  StartUp start_up;
  bool any_open = false;  // some run was not complete before
  bool named = false;
  std::set<std::string> told;
  const bool fail_fast = arguments.on_failure == OnFailure::stop;
  int worst = exit_done;
  const auto remember = [&worst](int one) {
    if (worst == exit_done) worst = one;
  };
  for (const std::vector<const Settings*>& candidates : grouped(settings)) {
    std::vector<std::unique_ptr<Run>> runs;
    for (const Settings* one : candidates) {
      auto run = std::make_unique<Run>(arguments, sweep, comm, *one, arguments.only ? "." : folder_in_base(*one));
      code = together(
          comm, [&] { run->prepare(shelf); }, told);
      remember(code);
      if (code == exit_done) runs.push_back(std::move(run));
    }
    if (fail_fast && worst != exit_done) break;
    any_open = any_open || std::any_of(runs.begin(), runs.end(), [](const auto& run) { return !run->complete(); });
    if (any_open && !named) {
      const auto keep = [&] {
        if (comm.rank() == 0) keep_names(arguments);
      };
      remember(together(comm, [&] { agreed(comm, keep); }));
      named = true;
    }
    code = run_candidates(runs, sweep, arguments, comm, stop, start_up);
    remember(code);
    if (code == exit_stopped) worst = code;  // whatever else there was: there is more to do
    if (worst == exit_stopped || (fail_fast && worst != exit_done)) break;
  }
  if (StateFile* state = sweep.state()) state->end(ending_of(worst));
  if (comm.rank() == 0 && any_open && worst != exit_stopped && any_results(arguments, settings))
    draw_report(sweep.out());
  return worst;
}

}  // namespace tributary
