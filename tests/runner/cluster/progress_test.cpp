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
  for (int second = 101; second <= 131; ++second) rate.add(second, 900 + second, 3 * (900 + second));
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
}

TEST(RateMeter, KnowsTheRateOfASlowStage) {
  RateMeter rate;
  for (int hour = 0; hour < 5; ++hour) rate.add(3600.0 * hour, hour, hour);
  EXPECT_NEAR(rate.units_per_second(), 1.0 / 3600, 1e-12);
}

TEST(RateMeter, DoesNotCountWhatWasRestored) {
  RateMeter rate;
  rate.add(0, 900, 900);
  rate.add(10, 910, 910);
  EXPECT_DOUBLE_EQ(rate.units_per_second(), 1);
}

}  // namespace
}  // namespace tributary
