// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/plan.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

/// A lane of nine pairs and one of three, in units of four.
StagePlan two_lanes() {
  StagePlan plan;
  for (const std::int64_t pairs : {4, 4, 1}) {
    plan.chunks.push_back({std::vector<std::int64_t>(static_cast<std::size_t>(pairs)), {}});
    plan.units.push_back({0, std::ssize(plan.units), 1});
  }
  plan.chunks.push_back({std::vector<std::int64_t>(3), {}});
  plan.units.push_back({1, 0, 1});
  return plan;
}

TEST(StagePlan, HasTheMostPairsOfAUnitWhereEachIsComputedAlone) {
  EXPECT_EQ(two_lanes().most_pairs(1), 4);
  EXPECT_EQ(StagePlan{}.most_pairs(1), 1);
}

TEST(StagePlan, HasTheMostPairsOfUnitsThatAreComputedAtOnce) {
  StagePlan plan = two_lanes();
  plan.at_once = {1, 8};
  EXPECT_EQ(plan.most_pairs(1), 4);
  plan.at_once = {2, 8};
  EXPECT_EQ(plan.most_pairs(1), 8);
  plan.at_once = {4, 8};
  EXPECT_EQ(plan.most_pairs(1), 9);
}

TEST(StagePlan, SharesThePairsOutToItsWorkers) {
  StagePlan plan = two_lanes();  // a lane of three units, and one of one, which cost the same
  plan.at_once = {4, 8};
  EXPECT_EQ(plan.most_pairs(2), 6);
  EXPECT_EQ(plan.most_pairs(4), 4);
}

}  // namespace
}  // namespace tributary
