// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/plan_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "runner/commands/duration.h"
#include "runner/commands/sbatch_lines.h"
#include "runner/commands/sweep_plan.h"
#include "runner/commands/sweep_runs.h"
#include "runner/machine/memory_limits.h"

namespace tributary {
namespace {

constexpr const char* columns = "{:>5}  {:<22}  {:>5}  {:>4}  {:>7}  {:>{}}  {:>5}  {:<4}  {}\n";

/// Of the column of nodes: "230415 + features" stands in it where some run has them.
std::size_t width_of_nodes(const std::vector<Settings>& runs) {
  const auto has_features = [](const Settings& run) { return run.has("features"); };
  return std::any_of(runs.begin(), runs.end(), has_features) ? 19 : 9;
}

std::string header(std::size_t width) {
  return fmt::format(columns, "run", "method", "train", "test", "skipped", "nodes", width, "units", "done", "folder");
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
std::string line_of(const PlannedRun& run, std::size_t width) {
  return fmt::format(columns, run.number, run.method, run.train, run.test, run.skipped, run.nodes, width, run.units,
                     text_of(run.results), run.folder.string());
}

std::string line_of(const PlannedPass& pass) {
  const std::string most = text_of_bytes(pass.memory.expected_peak);  // it gathers what all compute
  const std::string of_rank_0 =
      most == text_of_bytes(pass.memory_of_others.expected_peak) ? "" : ", rank 0 at most " + most;
  return fmt::format(
      "       one pass: {}, {} units of attribution; a rank with {} worker threads takes at most {}{} ({} rows in "
      "a network call); about {}\n",
      pass.runs == 1 ? "this run" : std::to_string(pass.runs) + " runs together", pass.units, pass.threads,
      text_of_bytes(pass.memory_of_others.expected_peak), of_rank_0, pass.memory.batch_rows,
      format_duration(pass.estimate.seconds));
}

std::string text_of_rate(double bytes) { return fmt::format("{:.0f} MB/s", bytes / 1e6); }

void show_estimate(const RunArguments& arguments, const Machines& machines, const Estimate& all,
                   const PlannedPass& largest, std::size_t runs) {
  const std::int64_t ranks = machines.ranks;
  std::cout << fmt::format("on {} {} {}: about {}", ranks, ranks == 1 ? "rank" : "ranks",
                           machines.cards ? "with a card each" : fmt::format("of {} worker threads", largest.threads),
                           format_duration(all.seconds));
  if (ranks > 1) {
    std::cout << fmt::format(", {:.0f} % of it computing; {} into rank 0, which holds at most {} of partial sums",
                             100 * all.efficiency, text_of_rate(all.bytes_per_second),
                             text_of_bytes(static_cast<std::uint64_t>(all.peak_bytes)));
  }
  const std::string based_on =
      machines.cards ? fmt::format("an estimate that takes a card to reach {:.0f} TFLOP/s; a short run tells more",
                                   card_operations / 1e12)
                     : "an estimate from what a core of this machine does in a moment, and the operations there are";
  std::cout << " (" << based_on << ")\n\n"
            << sbatch_lines(arguments, machines, largest, all.seconds, all.longest_run, runs);
}

}  // namespace

void plan_command(const RunArguments& arguments) {
  const std::vector<Settings> settings = checked_runs(arguments);
  SweepPlanner planner(arguments, settings);
  Estimate all;
  PlannedPass largest;
  std::set<std::string> notes;
  std::vector<std::string> dictionaries;  // of features, each once
  const std::size_t width = width_of_nodes(settings);
  std::cout << settings.size() << (settings.size() == 1 ? " run\n\n" : " runs\n\n") << header(width);
  for (const std::vector<const Settings*>& candidates : grouped(settings)) {
    const PlannedGroup group = planner.plan(candidates);
    for (const PlannedRun& run : group.runs) std::cout << line_of(run, width);
    for (const PlannedPass& pass : group.passes) {
      std::cout << line_of(pass);
      all.add(pass.estimate);
      const std::string too_little = too_little_memory(pass.memory);
      if (!too_little.empty()) notes.insert("a rank " + too_little);
      if (pass.memory.expected_peak >= largest.memory.expected_peak) largest = pass;
    }
    for (const std::string& line : group.dictionaries) {
      if (std::find(dictionaries.begin(), dictionaries.end(), line) == dictionaries.end()) dictionaries.push_back(line);
    }
    notes.insert(group.notes.begin(), group.notes.end());
    if (group.runs.size() > 1) {
      notes.insert(
          "runs are computed together where they can share what they compute; in a Slurm array each computes "
          "all of its own");
    }
  }
  std::cout << '\n';
  for (const std::string& line : dictionaries) std::cout << line << '\n';
  if (!dictionaries.empty()) std::cout << '\n';
  for (const std::string& note : notes) std::cout << "note: " << note << "\n\n";
  show_estimate(arguments, planner.machines(), all, largest, settings.size());
}

}  // namespace tributary
