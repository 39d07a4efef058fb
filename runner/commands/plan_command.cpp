// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "common/errors.h"
#include "runner/cluster/progress.h"
#include "runner/commands/estimate.h"
#include "runner/commands/status.h"
#include "runner/commands/sweep_run.h"
#include "runner/commands/sweep_runs.h"

namespace tributary {
namespace {

/// What of a run is there already.
std::string already(const RunArguments& arguments, const Settings& settings, const Job& job) {
  try {
    if (results_in(folder_of(arguments, settings), job.identity, Fresh::no) == Found::same_results) return "yes";
  } catch (const UserError&) {
    return "other results there (--fresh or --out)";
  }
  return "no";
}

constexpr const char* columns = "{:>5}  {:<22}  {:>5}  {:>4}  {:>7}  {:>9}  {:>5}  {:<4}  {}\n";

std::string header() {
  return fmt::format(columns, "run", "method", "train", "test", "skipped", "nodes", "units", "done", "folder");
}

/// One run for people, a line of the table.
std::string line_of(std::size_t number, const Job& job, const std::string& done, const std::filesystem::path& folder) {
  const Architecture& a = job.architecture();
  const std::size_t units =
      plan_attribution({&job}).units.size() + (job.has_circuit() ? plan_curve(job).units.size() : 0);
  return fmt::format(columns, number, job.config.method.name, job.pairs.train.size(), job.pairs.test.size(),
                     job.pairs.skipped.size(), a.layers() * job.node_positions() * a.neurons, units, done,
                     folder.string());
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
  const Communicator alone;
  ModelShelf shelf(alone);
  const std::vector<Settings> settings = checked_runs(arguments);
  Estimate all;
  int threads = 1;
  std::cout << settings.size() << (settings.size() == 1 ? " run\n\n" : " runs\n\n") << header();
  for (const std::vector<const Settings*>& candidates : grouped(settings)) {
    std::vector<Job> jobs;
    for (const Settings* one : candidates) {
      jobs.push_back(prepare_job(*one, shelf));
      const auto number = static_cast<std::size_t>(one - settings.data());
      std::cout << line_of(number, jobs.back(), already(arguments, *one, jobs.back()), folder_of(arguments, *one));
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
      threads = worker_threads(jobs[first], alone);
      const MemoryPlan memory = plan_memory(group, threads, alone.local_size());
      const Estimate of_group = estimate(group, static_cast<int>(arguments.plan_ranks), threads);
      std::cout << fmt::format(
          "       one pass: {}, {} units of attribution; a rank with {} worker threads takes at most {} ({} rows in a "
          "network call); about {}\n",
          group.size() == 1 ? "this run" : std::to_string(group.size()) + " runs together",
          plan_attribution(group).units.size(), threads, text_of_bytes(memory.expected_peak), memory.batch_rows,
          format_duration(of_group.seconds));
      all.add(of_group);
    }
  }
  std::cout << '\n';
  show_estimate(arguments, all, static_cast<int>(arguments.plan_ranks), threads, settings.size());
}

}  // namespace tributary
