// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/plan_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "runner/commands/duration.h"
#include "runner/commands/sweep_plan.h"
#include "runner/commands/sweep_runs.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

constexpr const char* columns = "{:>5}  {:<22}  {:>5}  {:>4}  {:>7}  {:>9}  {:>5}  {:<4}  {}\n";

std::string header() {
  return fmt::format(columns, "run", "method", "train", "test", "skipped", "nodes", "units", "done", "folder");
}

std::string text_of(FoundResults::What results) {
  switch (results) {
    case FoundResults::What::none:
      return "no";
    case FoundResults::What::these:
      return "yes";
    case FoundResults::What::same_scores:
      return "scores";
    case FoundResults::What::others:
      return "other results there (--fresh or --out)";
    case FoundResults::What::changed:
      return "changed since written (finalize or --fresh)";
  }
  return "";
}

/// One run for people, a line of the table.
std::string line_of(const PlannedRun& run) {
  return fmt::format(columns, run.number, run.method, run.train, run.test, run.skipped, run.nodes, run.units,
                     text_of(run.results), run.folder.string());
}

std::string line_of(const PlannedPass& pass) {
  return fmt::format(
      "       one pass: {}, {} units of attribution; a rank with {} worker threads takes at most {} ({} rows in a "
      "network call); about {}\n",
      pass.runs == 1 ? "this run" : std::to_string(pass.runs) + " runs together", pass.units, pass.threads,
      text_of_bytes(pass.memory.expected_peak), pass.memory.batch_rows, format_duration(pass.estimate.seconds));
}

std::string text_of_rate(double bytes) { return fmt::format("{:.0f} MB/s", bytes / 1e6); }

/// Nodes like this one, so that every worker thread has a core.
std::int64_t nodes_for(int ranks, int threads) {
  const std::int64_t cores = std::max<long>(1, ::sysconf(_SC_NPROCESSORS_ONLN));
  return (static_cast<std::int64_t>(ranks) * threads + cores - 1) / cores;
}

/// A time limit for Slurm: half as much again and ten minutes, in steps of five.
std::string time_limit(double seconds) {
  const auto minutes = static_cast<std::int64_t>((1.5 * seconds / 60 + 10) / 5 + 1) * 5;
  return fmt::format("{}:{:02}:00", minutes / 60, minutes % 60);
}

/// The words of a run, quoted for a shell.
std::string words_of(const RunArguments& arguments) {
  const auto quoted = [](const std::string& word) -> std::string {
    const bool plain =
        word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=:,+-") ==
        std::string::npos;
    if (plain) return word;
    std::string text;
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return "'" + text + "'";
  };
  std::string words = quoted(arguments.file.string());
  for (const std::string& override : arguments.overrides) words += " " + quoted(override);
  if (!arguments.out.empty()) words += " --out " + quoted(arguments.out.string());
  return words;
}

void show_estimate(const RunArguments& arguments, const Estimate& all, int ranks, int threads, std::size_t runs) {
  std::cout << fmt::format("on {} {} of {} worker threads: about {}", ranks, ranks == 1 ? "rank" : "ranks", threads,
                           format_duration(all.seconds));
  if (ranks > 1) {
    std::cout << fmt::format(", {:.0f} % of it computing; {} into rank 0, which holds at most {} of partial sums",
                             100 * all.efficiency, text_of_rate(all.bytes_per_second),
                             text_of_bytes(static_cast<std::uint64_t>(all.peak_bytes)));
  }
  std::cout << fmt::format(
      " (an estimate from what this machine does in a moment)\n\nsbatch --nodes={} --ntasks={} --cpus-per-task={} "
      "--time={} slurm/sweep.sbatch {}\n",
      nodes_for(ranks, threads), ranks, threads, time_limit(all.seconds), words_of(arguments));
  if (runs > 1) {
    std::cout << fmt::format("sbatch --array=0-{} --ntasks={} --cpus-per-task={} --time={} slurm/array.sbatch {}\n",
                             runs - 1, ranks, threads, time_limit(all.longest_run), words_of(arguments));
  }
}

}  // namespace

void validate_command(const RunArguments& arguments) {
  const std::vector<Settings> runs = checked_runs(arguments);
  std::cout << arguments.file.string() << ": " << runs.size() << (runs.size() == 1 ? " run" : " runs")
            << ", nothing wrong\n";
}

void plan_command(const RunArguments& arguments) {
  const std::vector<Settings> settings = checked_runs(arguments);
  SweepPlanner planner(arguments, settings);
  Estimate all;
  int threads = 1;
  std::cout << settings.size() << (settings.size() == 1 ? " run\n\n" : " runs\n\n") << header();
  for (const std::vector<const Settings*>& candidates : grouped(settings)) {
    const PlannedGroup group = planner.plan(candidates);
    for (const PlannedRun& run : group.runs) std::cout << line_of(run);
    for (const PlannedPass& pass : group.passes) {
      std::cout << line_of(pass);
      all.add(pass.estimate);
      threads = pass.threads;
    }
  }
  std::cout << '\n';
  show_estimate(arguments, all, static_cast<int>(arguments.plan_ranks), threads, settings.size());
}

}  // namespace tributary
