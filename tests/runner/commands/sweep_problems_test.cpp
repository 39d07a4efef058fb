// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/sweep_problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> texts_of(const SweepProblems& problems) {
  std::vector<std::string> texts;
  try {
    problems.throw_if_any();
  } catch (const UserError& error) {
    for (const Problem& problem : error.problems()) texts.push_back(problem.where + ": " + problem.text);
  }
  return texts;
}

TEST(SweepProblems, AMistakeOfAllRunsIsToldOnceWithoutThem) {
  SweepProblems problems(3);
  for (const char* const run : {"a", "b", "c"}) {
    problems.add(UserError("f:1:1", "wrong"), run);
    if (*run == 'b') problems.add(UserError("f:1:1", "worse"), run);
  }
  EXPECT_THAT(texts_of(problems), ElementsAre("f:1:1: wrong", "f:1:1: worse (run b)"));
}

TEST(SweepProblems, OfManyRunsTheFirstAreNamed) {
  SweepProblems problems(9);
  for (const char* const run : {"a", "b"}) problems.add(UserError("", "x"), run);
  for (const char* const run : {"a", "b", "c", "d", "e"}) problems.add(UserError("", "y"), run);
  EXPECT_THAT(texts_of(problems), ElementsAre(": x (runs a, b)", ": y (runs a, b, c and 2 more)"));
}

TEST(SweepProblems, AOneRunFileHasNoLabels) {
  SweepProblems problems(1);
  EXPECT_TRUE(texts_of(problems).empty());
  problems.add(UserError("f", "wrong"), "");
  EXPECT_THAT(texts_of(problems), ElementsAre("f: wrong"));
}

}  // namespace
}  // namespace tributary
