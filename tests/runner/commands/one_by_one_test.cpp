// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/one_by_one.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runner/commands/exit_codes.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;

using Runs = std::vector<std::size_t>;

/// Runs of which some fail wherever they take part.
class SomeFail : public ::testing::Test {
 protected:
  int compute(std::size_t runs) {
    return together_or_one_by_one(
        runs, {[this](const Runs& members) {
                 tried_.push_back(members);
                 if (code_of_all_ != exit_done) return GroupEnd{code_of_all_, true};
                 const bool fails = std::any_of(members.begin(), members.end(),
                                                [this](std::size_t run) { return bad_.count(run) > 0; });
                 if (fails) return GroupEnd{exit_failed_units, true};
                 complete_.insert(members.begin(), members.end());
                 return GroupEnd{};
               },
               [this](std::size_t run) { return complete_.count(run) > 0; }, [this] { ++notes_; }});
  }

  std::set<std::size_t> bad_, complete_;
  std::vector<Runs> tried_;
  int notes_ = 0;
  int code_of_all_ = exit_done;
};

TEST_F(SomeFail, OneDoesNotTakeTheOthersAlong) {
  bad_ = {1};
  EXPECT_EQ(compute(3), exit_failed_units);
  EXPECT_THAT(complete_, ElementsAre(0, 2));
  EXPECT_THAT(tried_, ElementsAre(Runs{0, 1, 2}, Runs{0}, Runs{1}, Runs{2}));
  EXPECT_EQ(notes_, 1);
}

TEST_F(SomeFail, WhatIsCompleteIsLeftAlone) {
  bad_ = {1};
  complete_ = {0};  // as at a restart
  EXPECT_EQ(compute(3), exit_failed_units);
  EXPECT_THAT(tried_, ElementsAre(Runs{0, 1, 2}, Runs{1}, Runs{2}));
}

TEST_F(SomeFail, NoneIsTheUsualCase) {
  EXPECT_EQ(compute(3), exit_done);
  EXPECT_THAT(tried_, ElementsAre(Runs{0, 1, 2}));
  EXPECT_EQ(notes_, 0);
}

TEST_F(SomeFail, ARunThatWasAloneIsNotTriedTwice) {
  bad_ = {0};
  EXPECT_EQ(compute(1), exit_failed_units);
  EXPECT_THAT(tried_, ElementsAre(Runs{0}));
}

TEST_F(SomeFail, OtherEndsAreThoseOfAll) {
  for (const int code : {exit_stopped, exit_usage, exit_internal}) {
    code_of_all_ = code;
    tried_.clear();
    EXPECT_EQ(compute(2), code);
    EXPECT_THAT(tried_, ElementsAre(Runs{0, 1}));
  }
}

}  // namespace
}  // namespace tributary
