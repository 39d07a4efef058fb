// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <vector>

namespace tributary {
namespace {

TEST(Curve, FaithfulnessIsOneForTheModelAndZeroForNothing) {
  const ReferenceMetrics reference{3.0, -1.0};
  EXPECT_DOUBLE_EQ(normalised(3.0, reference), 1);
  EXPECT_DOUBLE_EQ(normalised(-1.0, reference), 0);
  EXPECT_DOUBLE_EQ(normalised(5.0, reference), 1.5);
}

TEST(Curve, SmallEffectsAreNotMeasured) {
  EXPECT_TRUE(std::isnan(normalised(1, {1.0, 0.96})));
  EXPECT_FALSE(std::isnan(normalised(1, {1.0, 0.94})));
}

TEST(Curve, AreasOfConstantsAndLinesAreThoseOfTheTrapezoid) {
  const std::vector<double> ones(std::size(area_fractions), 1.0);
  const std::vector<double> zeros(std::size(area_fractions), 0.0);
  EXPECT_NEAR(trapezoid_area(area_fractions, ones), 0.999, 1e-12);
  EXPECT_EQ(trapezoid_area(area_fractions, zeros), 0);
  EXPECT_NEAR(trapezoid_area(std::vector<double>{0, 1, 3}, std::vector<double>{0, 2, 4}), 1 + 6, 1e-12);
}

}  // namespace
}  // namespace tributary
