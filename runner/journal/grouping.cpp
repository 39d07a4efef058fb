// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/grouping.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace tributary {
namespace {

/// Hands out candidates to groups. Runs that evaluate the same scores differently have one identity here: each goes
/// into a group of its own, beside the other runs of the first one, so that all of these groups have one journal.
class Grouper {
 public:
  explicit Grouper(const std::vector<Candidate>& candidates)
      : candidates_(candidates), taken_(candidates.size(), false) {}

  /// Forms groups of these runs until no candidate that is one of them waits. False when one waits, and not all of the
  /// runs are candidates.
  bool form(const std::vector<JournalledRun>& runs) {
    while (any_waits(runs)) {
      std::vector<std::size_t> members;
      for (const JournalledRun& run : runs) {
        const std::optional<std::size_t> found = candidate_for(run, members);
        if (!found) return false;
        members.push_back(*found);
      }
      for (const std::size_t member : members) taken_[member] = true;
      groups_.push_back(std::move(members));
    }
    return true;
  }

  [[nodiscard]] bool waits(std::size_t i) const { return !candidates_[i].complete && !taken_[i]; }
  [[nodiscard]] std::vector<std::vector<std::size_t>> take_groups() { return std::move(groups_); }

 private:
  [[nodiscard]] bool any_waits(const std::vector<JournalledRun>& runs) const {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const auto same = [this, i](const JournalledRun& run) { return run.identity == candidates_[i].run.identity; };
      if (waits(i) && std::any_of(runs.begin(), runs.end(), same)) return true;
    }
    return false;
  }

  /// Of the candidates with a run's scores one that waits, if there is one, and in the run's folder, if there is one.
  [[nodiscard]] std::optional<std::size_t> candidate_for(const JournalledRun& run,
                                                         const std::vector<std::size_t>& members) const {
    std::optional<std::size_t> best;
    int best_fit = -1;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].run.identity != run.identity) continue;
      if (std::find(members.begin(), members.end(), i) != members.end()) continue;
      const int fit = (waits(i) ? 2 : 0) + (candidates_[i].run.folder == run.folder ? 1 : 0);
      if (fit > best_fit) {
        best = i;
        best_fit = fit;
      }
    }
    return best;
  }

  const std::vector<Candidate>& candidates_;
  std::vector<bool> taken_;
  std::vector<std::vector<std::size_t>> groups_;
};

/// The runs that wait and share what this candidate shares, each identity once.
std::vector<JournalledRun> runs_beside(std::size_t first, const std::vector<Candidate>& candidates,
                                       const Grouper& grouper) {
  std::vector<JournalledRun> runs;
  for (std::size_t i = first; i < candidates.size(); ++i) {
    if (!grouper.waits(i) || candidates[i].shares != candidates[first].shares) continue;
    const auto same = [&](const JournalledRun& run) { return run.identity == candidates[i].run.identity; };
    if (std::none_of(runs.begin(), runs.end(), same)) runs.push_back(candidates[i].run);
  }
  return runs;
}

}  // namespace

Grouping group_candidates(const std::vector<Candidate>& candidates, const std::vector<JournalGroup>& journalled) {
  Grouping result;
  Grouper grouper(candidates);
  // Larger groups first: a run that was also started by itself stays with those it shares passes with.
  std::vector<JournalGroup> by_size = journalled;
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const JournalGroup& a, const JournalGroup& b) { return a.runs.size() > b.runs.size(); });
  for (const JournalGroup& group : by_size) {
    if (!grouper.form(group.runs)) result.unused.push_back(group.name);
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (grouper.waits(i)) grouper.form(runs_beside(i, candidates, grouper));
  }
  result.groups = grouper.take_groups();
  return result;
}

std::vector<std::string> conflicting_groups(const std::vector<Candidate>& candidates,
                                            const std::vector<JournalGroup>& journalled) {
  std::vector<std::string> names;
  for (const JournalGroup& group : journalled) {
    const bool conflict = std::any_of(group.runs.begin(), group.runs.end(), [&candidates](const JournalledRun& run) {
      return std::any_of(candidates.begin(), candidates.end(), [&run](const Candidate& candidate) {
        return !candidate.complete && candidate.run.folder == run.folder && candidate.run.identity != run.identity;
      });
    });
    if (conflict) names.push_back(group.name);
  }
  return names;
}

}  // namespace tributary
