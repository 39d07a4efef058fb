// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/rank_health.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

constexpr auto other_work = RankHealth::Elsewhere::work;
constexpr auto no_other_work = RankHealth::Elsewhere::none;

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
  EXPECT_TRUE(health.may_compute(1, 7, no_other_work)) << "has not failed";
  EXPECT_TRUE(health.may_try_again(1, 7));
  EXPECT_FALSE(health.may_compute(1, 7, no_other_work));
  EXPECT_TRUE(health.may_compute(0, 7, no_other_work));
  EXPECT_TRUE(health.may_compute(1, 8, no_other_work)) << "another unit";
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_FALSE(health.may_try_again(2, 7)) << "three attempts";
}

TEST(RankHealth, LetsTwoRanksTakeTurns) {
  RankHealth health(2);
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_TRUE(health.may_try_again(1, 7));
  EXPECT_TRUE(health.may_compute(0, 7, no_other_work)) << "all have tried, and rank 1 was the last";
  EXPECT_FALSE(health.may_compute(1, 7, no_other_work));
}

TEST(RankHealth, LetsARankAloneTryTwice) {
  RankHealth health(1);
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_TRUE(health.may_compute(0, 7, no_other_work));
  EXPECT_FALSE(health.may_try_again(0, 7));
}

TEST(RankHealth, TriesOnAnotherMachineFirst) {
  RankHealth health(3, {0, 0, 1});
  health.may_try_again(0, 7);
  EXPECT_FALSE(health.may_compute(1, 7, no_other_work)) << "beside the one that failed";
  EXPECT_TRUE(health.may_compute(2, 7, no_other_work));
  health.may_try_again(2, 7);
  EXPECT_TRUE(health.may_compute(1, 7, no_other_work)) << "no machine is left, but a rank";
  EXPECT_FALSE(health.may_compute(0, 7, no_other_work));
}

TEST(RankHealth, KeepsTheLastAttemptForARankThatHasProvedSound) {
  RankHealth health(4);
  health.may_try_again(0, 7);
  health.may_try_again(1, 7);
  EXPECT_FALSE(health.may_compute(2, 7, other_work)) << "nobody knows whether it can compute anything";
  EXPECT_TRUE(health.may_compute(2, 7, no_other_work)) << "nobody will ever know";
  health.went_well(3);
  EXPECT_TRUE(health.may_compute(3, 7, other_work));
  health.went_wrong(3);
  EXPECT_FALSE(health.may_compute(3, 7, other_work));
}

TEST(RankHealth, BenchesARankThatFailsBlockAfterBlock) {
  RankHealth health(2);
  health.may_try_again(0, 7);
  for (int block = 1; block < blocks_until_benched; ++block) EXPECT_FALSE(health.went_wrong(1)) << block;
  health.went_well(1);
  for (int block = 1; block < blocks_until_benched; ++block) EXPECT_FALSE(health.went_wrong(1)) << "again from 1";
  health.may_try_again(1, 7);
  EXPECT_TRUE(health.went_wrong(1));
  EXPECT_TRUE(health.benched(1));
  EXPECT_FALSE(health.went_wrong(1)) << "once";
  EXPECT_FALSE(health.may_compute(1, 8, no_other_work));
  EXPECT_TRUE(health.may_try_again(1, 7)) << "what it fails does not count, nor what it has failed";
  EXPECT_TRUE(health.may_try_again(0, 7));
  EXPECT_FALSE(health.all_benched());
  for (int block = 0; block < blocks_until_benched; ++block) health.went_wrong(0);
  EXPECT_TRUE(health.all_benched());
}

/// A block that was on its way when its rank was benched may still go well.
TEST(RankHealth, WaitsForNoBenchedRank) {
  RankHealth health(4);
  for (int block = 0; block < blocks_until_benched; ++block) health.went_wrong(3);
  health.went_well(3);
  health.may_try_again(0, 7);
  health.may_try_again(1, 7);
  EXPECT_TRUE(health.may_compute(2, 7, RankHealth::Elsewhere::none));
}

}  // namespace
}  // namespace tributary
