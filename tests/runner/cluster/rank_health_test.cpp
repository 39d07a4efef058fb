// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/rank_health.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(RankHealth, LearnsThePaceOfEachRank) {
  RankHealth health(2);
  EXPECT_EQ(health.seconds_per_cost(0), 0) << "not known yet";
  health.computed(0, 4, 2);
  EXPECT_EQ(health.seconds_per_cost(0), 0.5);
  health.computed(0, 4, 6);
  EXPECT_EQ(health.seconds_per_cost(0), 1) << "the mean of the last and what was known";
  health.computed(0, 0, 6);
  health.computed(0, 4, 0);
  EXPECT_EQ(health.seconds_per_cost(0), 1) << "nothing was computed, or in no time";
  EXPECT_EQ(health.seconds_per_cost(1), 0);
}

TEST(RankHealth, LetsAnotherRankTryWhileThereIsOne) {
  RankHealth health(3);
  EXPECT_TRUE(health.may_compute(1, 7)) << "has not failed";
  EXPECT_TRUE(health.may_try_again(1, 7));
  EXPECT_FALSE(health.may_compute(1, 7));
  EXPECT_TRUE(health.may_compute(0, 7));
  EXPECT_TRUE(health.may_compute(1, 8)) << "another unit";
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_FALSE(health.may_try_again(2, 7)) << "three attempts";
}

TEST(RankHealth, LetsTwoRanksTakeTurns) {
  RankHealth health(2);
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_TRUE(health.may_try_again(1, 7));
  EXPECT_TRUE(health.may_compute(0, 7)) << "all have tried, and rank 1 was the last";
  EXPECT_FALSE(health.may_compute(1, 7));
}

TEST(RankHealth, LetsARankAloneTryTwice) {
  RankHealth health(1);
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_TRUE(health.may_compute(0, 7));
  EXPECT_FALSE(health.may_try_again(0, 7));
}

}  // namespace
}  // namespace tributary
