// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/grouping.h"

#include <algorithm>
#include <map>
#include <optional>

namespace tributary {
namespace {

/// The candidates that are a group's runs, in its order; nothing unless all of them are there and free.
std::optional<std::vector<std::size_t>> members_of(const JournalGroup& group, const std::vector<Candidate>& candidates,
                                                   const std::vector<char>& taken) {
  std::vector<std::size_t> members;
  for (const JournalledRun& run : group.runs) {
    const auto found = std::find_if(candidates.begin(), candidates.end(),
                                    [&run](const Candidate& candidate) { return candidate.run == run; });
    if (found == candidates.end()) return std::nullopt;
    members.push_back(static_cast<std::size_t>(found - candidates.begin()));
    if (taken[members.back()] != 0) return std::nullopt;
  }
  return members;
}

bool names_open_candidate(const JournalGroup& group, const std::vector<Candidate>& candidates) {
  return std::any_of(candidates.begin(), candidates.end(), [&group](const Candidate& candidate) {
    return !candidate.complete && std::find(group.runs.begin(), group.runs.end(), candidate.run) != group.runs.end();
  });
}

}  // namespace

Grouping group_candidates(const std::vector<Candidate>& candidates, const std::vector<JournalGroup>& journalled) {
  Grouping result;
  std::vector<char> taken(candidates.size(), 0);
  // Larger groups first: a run that was also started by itself stays with those it shares passes with.
  std::vector<JournalGroup> by_size = journalled;
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const JournalGroup& a, const JournalGroup& b) { return a.runs.size() > b.runs.size(); });
  for (const JournalGroup& group : by_size) {
    if (!names_open_candidate(group, candidates)) continue;
    const std::optional<std::vector<std::size_t>> members = members_of(group, candidates, taken);
    if (!members) {
      result.unused.push_back(group.name);
      continue;
    }
    for (const std::size_t member : *members) taken[member] = 1;
    result.groups.push_back(*members);
  }
  std::map<std::string, std::size_t> places;  // of new groups, by what their runs share
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (taken[i] != 0 || candidates[i].complete) continue;
    const auto [place, is_new] = places.emplace(candidates[i].shares, result.groups.size());
    if (is_new) result.groups.emplace_back();
    result.groups[place->second].push_back(i);
  }
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
