// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/grouping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Candidate open_run(const std::string& folder, const std::string& shares = "model") {
  return {{folder, "identity of " + folder}, shares, false};
}

Candidate complete(Candidate candidate) {
  candidate.complete = true;
  return candidate;
}

JournalGroup journalled(const std::string& name, const std::vector<Candidate>& runs) {
  JournalGroup group{name, {}};
  for (const Candidate& run : runs) group.runs.push_back(run.run);
  return group;
}

TEST(Grouping, PutsTogetherWhatShares) {
  const Grouping grouping = group_candidates({open_run("a"), open_run("b", "other"), open_run("c")}, {});
  EXPECT_THAT(grouping.groups, ElementsAre(ElementsAre(0, 2), ElementsAre(1)));
}

TEST(Grouping, LeavesOutWhatIsComplete) {
  EXPECT_THAT(group_candidates({complete(open_run("a")), open_run("b")}, {}).groups, ElementsAre(ElementsAre(1)));
  EXPECT_THAT(group_candidates({complete(open_run("a"))}, {}).groups, IsEmpty());
}

TEST(Grouping, KeepsAJournalledGroupInItsOrder) {
  const std::vector<JournalGroup> known{journalled("g", {open_run("c"), open_run("a")})};
  const Grouping grouping = group_candidates({complete(open_run("a")), open_run("b"), open_run("c")}, known);
  EXPECT_THAT(grouping.groups, ElementsAre(ElementsAre(2, 0), ElementsAre(1)));
  EXPECT_THAT(grouping.unused, IsEmpty());
}

TEST(Grouping, ForgetsAJournalledGroupThatIsDone) {
  const std::vector<JournalGroup> known{journalled("g", {open_run("a"), open_run("b")})};
  const Grouping grouping = group_candidates({complete(open_run("a")), complete(open_run("b")), open_run("c")}, known);
  EXPECT_THAT(grouping.groups, ElementsAre(ElementsAre(2)));
}

TEST(Grouping, NamesAGroupThatTheSweepHasTornApart) {
  const std::vector<JournalGroup> known{journalled("g", {open_run("a"), open_run("gone")})};
  const Grouping grouping = group_candidates({open_run("a"), open_run("b")}, known);
  EXPECT_THAT(grouping.groups, ElementsAre(ElementsAre(0, 1)));
  EXPECT_THAT(grouping.unused, ElementsAre("g"));
}

/// The scores of `as`, evaluated otherwise, in a folder of its own.
Candidate evaluated(const std::string& folder, const Candidate& as) {
  Candidate other = as;
  other.run.folder = folder;
  return other;
}

TEST(Grouping, FindsScoresThatAreEvaluatedOtherwise) {
  const std::vector<JournalGroup> known{journalled("g", {open_run("a"), open_run("b")})};
  const Grouping grouping = group_candidates(
      {complete(open_run("a")), evaluated("a2", open_run("a")), open_run("b"), complete(open_run("c"))}, known);
  EXPECT_THAT(grouping.groups, ElementsAre(ElementsAre(1, 2)));
  EXPECT_THAT(grouping.unused, IsEmpty());
}

TEST(Grouping, EvaluatesTheSameScoresOneAfterTheOtherInOneJournal) {
  const Candidate a = open_run("a"), b = open_run("b");
  const Grouping grouping = group_candidates({a, evaluated("a2", a), b, evaluated("a3", a)}, {});
  EXPECT_THAT(grouping.groups, ElementsAre(ElementsAre(0, 2), ElementsAre(1, 2), ElementsAre(3, 2)));
  const std::vector<JournalGroup> known{journalled("g", {b, a})};
  EXPECT_THAT(group_candidates({a, evaluated("a2", a), b}, known).groups,
              ElementsAre(ElementsAre(2, 0), ElementsAre(2, 1)));
}

TEST(Grouping, FindsARunInAnotherFolder) {
  const std::vector<JournalGroup> known{journalled("g", {evaluated(".", open_run("a"))})};
  EXPECT_THAT(group_candidates({open_run("b"), open_run("a")}, known).groups,
              ElementsAre(ElementsAre(1), ElementsAre(0)));
}

TEST(Grouping, FindsWorkOfAnotherIdentity) {
  Candidate changed = open_run("a");
  changed.run.identity = "another";
  const std::vector<JournalGroup> known{journalled("g", {open_run("a")}), journalled("h", {open_run("b")})};
  EXPECT_THAT(conflicting_groups({changed, open_run("b")}, known), ElementsAre("g"));
  EXPECT_THAT(conflicting_groups({complete(changed)}, known), IsEmpty());
}

}  // namespace
}  // namespace tributary
