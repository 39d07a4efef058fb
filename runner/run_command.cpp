// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/run_command.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/text.h"
#include "runner/exit_codes.h"
#include "runner/run.h"
#include "runner/stopping.h"

namespace tributary {
namespace {

/// What went wrong on this rank, as text and exit code; code 0: nothing.
struct Trouble {
  int code = exit_done;
  std::string text;
};

/// Runs `body`, and turns what it throws into an exit code that all ranks agree on; rank 0 prints every distinct text.
template <typename Body>
int together(const Communicator& comm, const Body& body) {
  Trouble trouble;
  try {
    body();
  } catch (const UserError& error) {
    trouble = {exit_usage, error.what()};
  } catch (const Stopped&) {
    trouble = {exit_stopped, "stopped on request; nothing was written. The same command starts again"};
  } catch (const UnitsFailed& error) {
    trouble = {exit_failed_units, error.what()};
  } catch (const c10::Error& error) {
    trouble = {exit_internal, error.what_without_backtrace()};  // its frames mean nothing to a user
  } catch (const std::exception& error) {
    trouble = {exit_internal, error.what()};
  }
  const std::vector<std::int64_t> codes = comm.gather(static_cast<std::int64_t>(trouble.code));
  const std::vector<std::string> texts = comm.gather(trouble.text);
  std::vector<std::int64_t> worst{exit_done};
  std::set<std::string> printed;
  for (std::size_t rank = 0; rank < codes.size(); ++rank) {
    if (codes[rank] == exit_done) continue;
    if (worst[0] == exit_done || codes[rank] == exit_internal) worst[0] = codes[rank];
    if (!texts[rank].empty() && printed.insert(texts[rank]).second) std::cerr << "tributary: " << texts[rank] << '\n';
  }
  comm.broadcast(worst);
  return static_cast<int>(worst[0]);
}

std::filesystem::path folder_of(const RunArguments& arguments, const Settings& settings) {
  const std::filesystem::path base =
      arguments.out.empty() ? std::filesystem::path("results") / settings.at<std::string>("name") : arguments.out;
  return settings.label().empty() ? base : base / settings.label();
}

/// All runs of the sweep, each checked as far as it can be without its model. Throws UserError with the problems of
/// all.
std::vector<Settings> checked_runs(const RunArguments& arguments) {
  std::vector<Settings> runs = read_settings(key_table(), arguments.file, arguments.overrides);
  std::vector<Problem> problems;
  for (const Settings& settings : runs) {
    try {
      run_config(settings);
    } catch (const UserError& error) {
      const std::string run = settings.label().empty() ? "" : " (run " + settings.label() + ")";
      for (const Problem& problem : error.problems()) problems.push_back({problem.where, problem.text + run});
    }
  }
  if (!problems.empty()) throw UserError(problems);
  return runs;
}

/// Runs by the group that they may be computed in, groups in order of their first run: sweeps over methods share passes
/// through the network whatever the order of the sweep's keys.
std::vector<std::vector<const Settings*>> grouped(const std::vector<Settings>& runs) {
  std::vector<std::pair<std::string, std::vector<const Settings*>>> groups;
  for (const Settings& settings : runs) {
    std::string text = settings.text_without({"name", "attribution", "circuit"});
    auto same = std::find_if(groups.begin(), groups.end(), [&text](const auto& group) { return group.first == text; });
    if (same == groups.end()) same = groups.insert(groups.end(), {std::move(text), {}});
    same->second.push_back(&settings);
  }
  std::vector<std::vector<const Settings*>> lists;
  for (auto& [text, list] : groups) lists.push_back(std::move(list));
  return lists;
}

/// One run for people.
std::string described(const Job& job, const Settings& settings, const std::filesystem::path& folder) {
  return fmt::format(
      "{}{}\n  method   {}\n  pairs    {} training, {} held out, {} skipped\n  nodes    {} layers × {} positions × "
      "{} neurons\n"
      "  units    {} of attribution, {} of circuits\n  results  {}\n",
      job.config.name, settings.label().empty() ? "" : " (" + settings.label() + ")", job.config.method.name,
      job.pairs.train.size(), job.pairs.test.size(), job.pairs.skipped.size(), job.architecture().layers,
      job.node_positions(), job.architecture().neurons, plan_attribution({&job}).units.size(),
      job.has_circuit() ? plan_curve(job).units.size() : 0, results_path(folder).string());
}

}  // namespace

int run_command(const RunArguments& arguments, const Communicator& comm) {
  std::vector<Settings> settings;
  int code = together(comm, [&] { settings = checked_runs(arguments); });
  if (code != exit_done) return code;
  StopFlag stop;
  const ScopedSignalHandler handler(stop);
  ModelShelf shelf(comm);
  int worst = exit_done;
  const auto remember = [&worst](int one) {
    if (worst == exit_done) worst = one;
  };
  for (const std::vector<const Settings*>& candidates : grouped(settings)) {
    std::vector<std::unique_ptr<Run>> ready;
    for (const Settings* one : candidates) {
      auto run = std::make_unique<Run>(arguments, comm, *one, folder_of(arguments, *one));
      code = together(comm, [&] { run->prepare(shelf); });
      remember(code);
      if (code == exit_done) ready.push_back(std::move(run));
    }
    while (!ready.empty()) {  // what the settings could not tell: the pairs that fit may differ after all
      const auto others = std::stable_partition(ready.begin(), ready.end(), [&ready](const auto& run) {
        return run->job().group == ready.front()->job().group;
      });
      std::vector<std::unique_ptr<Run>> group(std::make_move_iterator(ready.begin()), std::make_move_iterator(others));
      ready.erase(ready.begin(), others);
      code = together(comm, [&] { compute_runs(group, arguments, comm, stop); });
      remember(code);
      if (code == exit_stopped) return code;
    }
  }
  return worst;
}

void validate_command(const RunArguments& arguments) {
  const std::vector<Settings> runs = checked_runs(arguments);
  std::cout << arguments.file.string() << ": " << runs.size() << (runs.size() == 1 ? " run" : " runs")
            << ", nothing wrong\n";
}

void plan_command(const RunArguments& arguments) {
  const Communicator alone;
  ModelShelf shelf(alone);
  const std::vector<Settings> settings = checked_runs(arguments);
  for (const std::vector<const Settings*>& candidates : grouped(settings)) {
    std::vector<Job> jobs;
    for (const Settings* one : candidates) {
      jobs.push_back(prepare_job(*one, shelf));
      std::cout << described(jobs.back(), *one, folder_of(arguments, *one));
    }
    std::vector<char> done(jobs.size(), 0);
    for (std::size_t first = 0; first < jobs.size(); ++first) {
      if (done[first] != 0) continue;
      RunGroup group;
      for (std::size_t i = first; i < jobs.size(); ++i) {
        if (jobs[i].group != jobs[first].group) continue;
        group.push_back(&jobs[i]);
        done[i] = 1;
      }
      const int threads = worker_threads(jobs[first], alone);
      const MemoryPlan memory = plan_memory(group, threads, alone.local_size());
      std::cout << fmt::format(
          "{} computed together: {} units; a rank with {} worker threads takes at most {} ({} rows in a network "
          "call)\n\n",
          group.size() == 1 ? "1 run" : std::to_string(group.size()) + " runs", plan_attribution(group).units.size(),
          threads, text_of_bytes(memory.expected_peak), memory.batch_rows);
    }
  }
}

}  // namespace tributary
