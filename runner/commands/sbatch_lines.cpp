// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sbatch_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace tributary {
namespace {

namespace fs = std::filesystem;

/// Where the job scripts look for the program when nobody says otherwise.
constexpr const char* usual_program = "build/release/tributary";

fs::path own_program() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored);
}

/// A time limit for Slurm: half as much again and ten minutes, in steps of five.
std::string time_limit(double seconds) {
  const auto minutes = static_cast<std::int64_t>((1.5 * seconds / 60 + 10) / 5 + 1) * 5;
  return fmt::format("{}:{:02}:00", minutes / 60, minutes % 60);
}

/// " --mem=1200M": of a node, in steps of 100 MiB.
std::string memory_option(const PlannedPass& largest, std::int64_t ranks) {
  const std::uint64_t bytes = memory_of_node(largest.memory, largest.memory_of_others, ranks);
  return fmt::format(" --mem={}M", ((bytes >> 20) / 100 + 1) * 100);
}

/// A word for a shell.
std::string quoted(const std::string& word) {
  const bool plain = word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=:,+-") ==
                     std::string::npos;
  if (plain) return word;
  std::string text;
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + text + "'";
}

/// The words of a run, quoted for a shell.
std::string words_of(const RunArguments& arguments) {
  std::string words = quoted(arguments.file.string());
  for (const std::string& override : arguments.overrides) words += " " + quoted(override);
  if (!arguments.out.empty()) words += " --out " + quoted(arguments.out.string());
  return words;
}

/// "TRIBUTARY=/opt/bin/tributary ", where the scripts would not find this program.
std::string where_program_is() {
  std::error_code ignored;
  if (std::getenv("TRIBUTARY") != nullptr || fs::equivalent(usual_program, own_program(), ignored)) return "";
  return "TRIBUTARY=" + quoted(own_program().string()) + " ";
}

/// The job script with the words of the run, or without a script the launcher itself.
std::string job_of(const std::string& script, const RunArguments& arguments, const std::string& more) {
  const fs::path file = job_script(script);
  if (!file.empty()) return quoted(file.string()) + " " + words_of(arguments);
  return "--wrap " + quoted("srun --mpi=pmix " + quoted(own_program().string()) + " run " + words_of(arguments) + more);
}

}  // namespace

fs::path job_script(const std::string& name) {
  const fs::path here = fs::path("slurm") / name;
  std::error_code ignored;
  if (fs::exists(here, ignored)) return here;
  const fs::path folder = own_program().parent_path();
  for (const fs::path& place : {folder / ".." / "share" / "tributary", folder / ".." / ".."}) {
    const fs::path script = (place / here).lexically_normal();
    if (fs::exists(script, ignored)) return script;
  }
  return {};
}

std::string sbatch_lines(const RunArguments& arguments, const Machines& machines, const PlannedPass& largest,
                         double seconds, double longest_run, std::size_t runs) {
  const int threads = largest.threads;
  const auto ranks = machines.ranks;
  const std::int64_t nodes = largest.nodes;
  const std::string tasks = machines.nodes == 0 && !machines.cards ? fmt::format("--ntasks={}", ranks)
                                                                   : fmt::format("--ntasks-per-node={}", ranks / nodes);
  const std::string cards = machines.cards ? fmt::format(" --gpus-per-node={}", ranks / nodes) : "";
  const std::string memory = machines.cards ? "" : memory_option(largest, (ranks + nodes - 1) / nodes);
  const std::string program = where_program_is();
  const auto line = [&](const std::string& array, double expected, const std::string& job) {
    return fmt::format("{}sbatch {}--nodes={} {}{} --cpus-per-task={}{} --time={} {}\n", program, array, nodes, tasks,
                       cards, threads, memory, time_limit(expected), job);
  };
  std::string lines = line("", seconds, job_of("sweep.sbatch", arguments, ""));
  if (runs > 1) {
    lines += line(fmt::format("--array=0-{} ", runs - 1), longest_run,
                  job_of("array.sbatch", arguments, " --run $SLURM_ARRAY_TASK_ID"));
  }
  return lines;
}

}  // namespace tributary
