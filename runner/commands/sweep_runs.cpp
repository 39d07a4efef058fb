// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_runs.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "common/errors.h"
#include "runner/commands/sweep_problems.h"
#include "runner/job/keys.h"
#include "runner/job/run_config.h"

namespace tributary {
namespace {

/// The folder that all runs of a sweep write to, or below.
std::filesystem::path whole_base_of(const RunArguments& arguments, const Settings& settings) {
  return arguments.out.empty() ? std::filesystem::path("results") / settings.at<std::string>("name") : arguments.out;
}

}  // namespace

std::string folder_in_base(const Settings& settings) { return settings.label().empty() ? "." : settings.label(); }

std::filesystem::path base_of(const RunArguments& arguments, const Settings& settings) {
  const std::filesystem::path whole = whole_base_of(arguments, settings);
  return (arguments.only ? whole / folder_in_base(settings) : whole).lexically_normal();
}

std::filesystem::path folder_of(const RunArguments& arguments, const Settings& settings) {
  return (whole_base_of(arguments, settings) / folder_in_base(settings)).lexically_normal();
}

std::vector<Settings> checked_runs(const RunArguments& arguments) {
  std::vector<Settings> runs = read_settings(key_table(), arguments.file, arguments.overrides);
  SweepProblems problems(runs.size());
  for (const Settings& settings : runs) {
    try {
      run_config(settings);
    } catch (const UserError& error) {
      problems.add(error, settings.label());
    }
  }
  problems.throw_if_any();
  if (!arguments.only) return runs;
  if (*arguments.only < 0 || *arguments.only >= std::ssize(runs)) {
    throw UserError("--run",
                    fmt::format("there is no run {}: the sweep has {}, counted from 0", *arguments.only, runs.size()));
  }
  return {runs[static_cast<std::size_t>(*arguments.only)]};
}

std::vector<std::vector<const Settings*>> grouped(const std::vector<Settings>& runs) {
  std::vector<std::vector<const Settings*>> groups;
  std::unordered_map<std::string, std::size_t> places;  // of the groups
  for (const Settings& settings : runs) {
    const auto [place, is_new] = places.emplace(settings.text_without(run_groups), groups.size());
    if (is_new) groups.emplace_back();
    groups[place->second].push_back(&settings);
  }
  return groups;
}

}  // namespace tributary
