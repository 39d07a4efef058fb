// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/progress.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(RateMeter, FollowsAChangeOfPace) {
  RateMeter rate;
  EXPECT_EQ(rate.units_per_second(), 0);
  for (int second = 0; second <= 100; ++second) rate.add(second, 10 * second, 30 * second);
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 10);
  EXPECT_DOUBLE_EQ(rate.cost_per_second(), 30);
  for (int second = 101; second <= 201; ++second) rate.add(second, 900 + second, 3 * (900 + second));
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
}

TEST(RateMeter, KnowsTheRateOfASlowStage) {
  RateMeter rate;
  for (int hour = 0; hour < 5; ++hour) rate.add(3600.0 * hour, hour, hour);
  EXPECT_NEAR(rate.units_per_second(), 1.0 / 3600, 1e-12);
}

TEST(RateMeter, IsThatBetweenFinishedUnitsHoweverOftenItIsAsked) {
  RateMeter rate;  // two workers with units of 60 s
  for (int second = 0; second <= 300; ++second) {
    rate.add(second, 2 * (second / 60), 10 * (second / 60));
    EXPECT_DOUBLE_EQ(rate.units_per_second(), second < 60 ? 0 : 2.0 / 60) << second;
    EXPECT_DOUBLE_EQ(rate.cost_per_second(), second < 60 ? 0 : 10.0 / 60) << second;
  }
}

TEST(RateMeter, TakesBurstsForWhatTheyAre) {
  RateMeter rate;  // forty workers with units of 100 s that end within four seconds
  double done = 0;
  for (int tenth = 0; tenth <= 10000; ++tenth) {
    const int in_round = tenth % 1000;
    if (tenth >= 1000 && in_round < 40) ++done;
    rate.add(tenth / 10.0, done, done);
    if (tenth < 5000) continue;
    EXPECT_GT(rate.units_per_second(), 0.25) << tenth;
    EXPECT_LT(rate.units_per_second(), 0.5) << tenth;
  }
}

TEST(RateMeter, SlowsDownWhileNothingIsFinished) {
  RateMeter rate;
  for (int second = 0; second <= 100; ++second) rate.add(second, second, second);
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
  for (int second = 101; second <= 1000; ++second) rate.add(second, 100, 100);
  EXPECT_LT(rate.units_per_second(), 0.1);
  EXPECT_GT(rate.units_per_second(), 0);
}

TEST(RateMeter, DoesNotCountWhatWasRestored) {
  RateMeter rate;
  rate.add(0, 900, 900);
  rate.add(10, 910, 910);
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
}

}  // namespace
}  // namespace tributary
