// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_problems.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/text.h"

namespace tributary {
namespace {

/// " (run method=atp)", " (runs method=atp, method=relp and 6 more)".
std::string text_of_runs(const std::vector<std::string>& runs) {
  constexpr std::size_t shown = 3;
  const std::vector<std::string> first(runs.begin(),
                                       runs.begin() + static_cast<std::ptrdiff_t>(std::min(shown, runs.size())));
  const std::string more = runs.size() > shown ? fmt::format(" and {} more", runs.size() - shown) : "";
  return fmt::format(" (run{} {}{})", runs.size() == 1 ? "" : "s", join(first), more);
}

}  // namespace

void SweepProblems::add(const UserError& error, const std::string& run) {
  for (const Problem& problem : error.problems()) {
    const auto same = [&problem](const Entry& entry) {
      return entry.problem.where == problem.where && entry.problem.text == problem.text;
    };
    auto entry = std::find_if(entries_.begin(), entries_.end(), same);
    if (entry == entries_.end()) entry = entries_.insert(entries_.end(), Entry{problem, {}});
    if (entry->runs.empty() || entry->runs.back() != run) entry->runs.push_back(run);
  }
}

void SweepProblems::throw_if_any() const {
  if (entries_.empty()) return;
  std::vector<Problem> problems;
  for (const Entry& entry : entries_) {
    const bool all = entry.runs.size() == runs_;
    problems.push_back({entry.problem.where, entry.problem.text + (all ? "" : text_of_runs(entry.runs))});
  }
  throw UserError(std::move(problems));
}

}  // namespace tributary
