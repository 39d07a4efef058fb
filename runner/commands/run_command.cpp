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
#include "runner/commands/one_by_one.h"
#include "runner/commands/sweep_run.h"
#include "runner/commands/sweep_runs.h"
#include "runner/machine/memory_limits.h"
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

/// What a long start is doing: a large model may take a minute to read.
void announce(const Checkpoint& checkpoint, const Communicator& comm) {
  constexpr std::uint64_t large = 1 << 30;
  const std::uint64_t bytes = stored_bytes(checkpoint);
  if (comm.rank() != 0 || bytes < large) return;
  std::cerr << "tributary: reading " << text_of_bytes(bytes) << " of weights in " << checkpoint.folder().string()
            << ", and checking that all are finite\n";
}

/// Rank 0. The names of all runs of the sweep, for reports on a part of them: kept as soon as there is something to
/// compute, and where others are kept. Whether that was so.
bool keep_names(const RunArguments& arguments, const std::vector<Settings>& settings, bool any_open) {
  RunArguments whole = arguments;
  whole.only.reset();
  const std::vector<Settings> all = arguments.only ? checked_runs(whole) : settings;
  std::vector<std::string> folders;
  for (const Settings& one : all) folders.push_back(folder_in_base(one));
  const std::filesystem::path base = base_of(whole, all.front());
  const std::vector<std::string> kept = kept_run_names(base);
  const bool others = !kept.empty() && kept != folders;
  if (any_open || others) keep_run_names(base, all.front().at<std::string>("name"), folders);
  return others;
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

/// Computes runs group by group.
class Groups {
 public:
  /// All must outlive it.
  Groups(SweepFolder& sweep, const RunArguments& arguments, const Communicator& comm, StopFlag& stop)
      : sweep_(sweep), arguments_(arguments), comm_(comm), stop_(stop) {}

  /// Shows what is complete, and computes the rest. Returns the first exit code that is not 0. Collective.
  int compute(const std::vector<std::unique_ptr<Run>>& runs) {
    std::vector<Candidate> candidates;
    for (const auto& run : runs) {
      candidates.push_back(run->candidate());
      if (comm_.rank() == 0 && run->complete()) run->show_complete();
    }
    std::vector<std::vector<std::size_t>> groups;
    int worst = together(comm_, [&] { groups = sweep_.group(candidates, arguments_.fresh); });
    for (const std::vector<std::size_t>& members : groups) {
      std::vector<Run*> group;
      for (const std::size_t member : members) group.push_back(runs[member].get());
      const int code = compute_group(group);
      worst = with_one_more(worst, code);
      if (ends_sweep(code)) break;
    }
    return worst;
  }

  /// Rank 0: whether anything was finished: a unit of work, or a run from what the journal held of it.
  [[nodiscard]] bool progressed() const { return progressed_; }

 private:
  int compute_group(const std::vector<Run*>& group) {
    if (arguments_.on_failure == OnFailure::stop) return attempt(group).code;
    GroupAttempts attempts;
    attempts.compute = [&](const std::vector<std::size_t>& members) {
      std::vector<Run*> runs;
      for (const std::size_t member : members) runs.push_back(group[member]);
      return attempt(runs);
    };
    attempts.complete = [&group](std::size_t run) { return group[run]->complete(); };
    attempts.before_single = [&] {
      if (comm_.rank() != 0) return;
      std::cerr << "tributary: note: the " << group.size()
                << " runs that were computed together are computed one by one now: others may do without what failed\n";
    };
    return together_or_one_by_one(group.size(), attempts);
  }

  GroupEnd attempt(const std::vector<Run*>& runs) {
    const auto complete = [&runs] {
      return std::count_if(runs.begin(), runs.end(), [](const Run* run) { return run->complete(); });
    };
    const auto before = complete();
    GroupRun group(runs, sweep_, arguments_, comm_, stop_);
    int code = exit_done;
    const int of_all = together(comm_, [&] { code = group.compute(start_up_.take()); });
    progressed_ = progressed_ || group.progressed() || complete() > before;
    return {of_all != exit_done ? of_all : code, of_all != exit_done};
  }

  SweepFolder& sweep_;
  const RunArguments& arguments_;
  const Communicator& comm_;
  StopFlag& stop_;
  StartUp start_up_;
  bool progressed_ = false;
};

/// The exit code of a start that was stopped: another one may be as fruitless. Collective.
int code_of_stop(const Groups& groups, const Communicator& comm) {
  std::vector<std::int64_t> progressed{groups.progressed()};
  comm.broadcast(progressed);
  if (progressed[0] != 0) return exit_stopped;
  if (comm.rank() == 0) {
    std::cerr << "tributary: this start has finished no unit of work, and the next one may not either; give it more "
                 "time, or make units smaller (unit.pairs, unit.layers)\n";
  }
  return exit_no_progress;
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
  ModelShelf shelf(comm, warn_user, [&comm](const Checkpoint& checkpoint) { announce(checkpoint, comm); });
  std::set<std::string> folders;
  for (const Settings& one : settings) folders.insert(arguments.only ? "." : folder_in_base(one));
  SweepFolder sweep(base_of(arguments, settings.front()), comm, std::move(folders));
  if (comm.rank() == 0) list_runs(settings);
  Groups groups(sweep, arguments, comm, stop);
  bool any_open = false;  // some run was not complete before
  bool named = false, named_open = false;
  bool renamed = false;  // on rank 0: the folder had results of other runs
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
      if (code == exit_files_changed) break;
    }
    if (code == exit_files_changed) break;
    if (fail_fast && worst != exit_done) break;
    any_open = any_open || std::any_of(runs.begin(), runs.end(), [](const auto& run) { return !run->complete(); });
    if (!named || (any_open && !named_open)) {
      const auto keep = [&] {
        if (comm.rank() == 0) renamed = keep_names(arguments, settings, any_open) || renamed;
      };
      remember(together(comm, [&] { agreed(comm, keep); }));
      named = true;
      named_open = any_open;
    }
    code = groups.compute(runs);
    worst = with_one_more(worst, code);
    if (ends_sweep(code) || (fail_fast && worst != exit_done)) break;
  }
  const bool stopped = worst == exit_stopped;
  if (stopped) worst = code_of_stop(groups, comm);
  if (StateFile* state = sweep.state()) state->end(ending_of(worst));
  if (comm.rank() == 0 && (any_open || renamed) && !stopped && any_results(arguments, settings))
    draw_report(sweep.out());
  return worst;
}

}  // namespace tributary
