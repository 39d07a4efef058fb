// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which runs of a sweep are computed together. Runs that a journal holds together stay together, in its order: their
// blocks then fit again, whatever has been finished or added to the sweep since.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner/journal/group_journal.h"

namespace tributary {

struct Candidate {
  JournalledRun run;
  std::string shares;     //!< equal for runs that may share passes through the network (Job::group)
  bool complete = false;  //!< its results are there
};

struct Grouping {
  std::vector<std::vector<std::size_t>> groups;  //!< candidates by index, every group with one that is not complete
  std::vector<std::string> unused;               //!< groups of the journal that name a candidate and cannot be used
};

/// Pure: knows no files. Candidates that are complete and that no group needs are in none. Groups are computed in this
/// order: a candidate that a later one needs besides its own is complete by then.
Grouping group_candidates(const std::vector<Candidate>& candidates, const std::vector<JournalGroup>& journalled);

/// Names of journalled groups that hold unfinished work of another identity for the folder of a candidate that is not
/// complete.
std::vector<std::string> conflicting_groups(const std::vector<Candidate>& candidates,
                                            const std::vector<JournalGroup>& journalled);

}  // namespace tributary
