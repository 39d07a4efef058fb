// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/spread.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attribution/methods/detail/spread.h"
#include "attribution/model/tensors.h"

namespace tributary {
namespace {

/// The sums over pairs of one node's scores.
at::Tensor sums_of(const std::vector<double>& scores) {
  at::Tensor sums = at::zeros({3}, at::kDouble);
  for (const double score : scores)
    sums += detail::parts_of(at::full({1, 1, 1}, score, at::kDouble),
                             {detail::PairParts::Value::score, detail::PairParts::Tables::spread}, 1)
                .flatten();
  return sums;
}

double error_of(const std::vector<double>& scores) {
  const at::Tensor sums = sums_of(scores);
  return standard_error(sums[0].item<double>(), sums[1].item<double>(), std::ssize(scores));
}

double share_of(const std::vector<double>& scores) {
  const at::Tensor sums = sums_of(scores);
  return sign_share(sums[0].item<double>(), sums[2].item<double>(), std::ssize(scores));
}

TEST(Spread, StandardErrorIsThatOfTheMean) {
  // 1, 2, 3, 6: mean 3, squares of differences 4 + 1 + 0 + 9 = 14, variance 14 / 3, of the mean 14 / 12.
  EXPECT_DOUBLE_EQ(error_of({1, 2, 3, 6}), std::sqrt(14.0 / 12));
  EXPECT_DOUBLE_EQ(error_of({-1, -2, -3, -6}), std::sqrt(14.0 / 12));
}

TEST(Spread, EqualScoresHaveNoneAndOnePairSaysNothing) {
  EXPECT_NEAR(error_of({0.1, 0.1, 0.1}), 0, 1e-8);
  EXPECT_TRUE(std::isnan(error_of({0.1})));
}

TEST(Spread, SignsAreCountedAgainstTheMeans) {
  EXPECT_DOUBLE_EQ(share_of({1, 1, 1, -1}), 0.75);
  EXPECT_DOUBLE_EQ(share_of({1, 1, 1, -10}), 0.25);
  EXPECT_DOUBLE_EQ(share_of({1, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(share_of({-1, -2, 0, -3}), 0.75);
}

TEST(Spread, AMeanOfNothingHasTheSignOfScoresThatAreNothing) {
  EXPECT_DOUBLE_EQ(share_of({0, 0, 0}), 1);
  EXPECT_DOUBLE_EQ(share_of({1, -1, 0, 0}), 0.5);
}

TEST(Spread, WhatWasNotScoredHasNone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(error_of({nan, nan})));
  EXPECT_TRUE(std::isnan(share_of({nan, nan})));
}

TEST(Spread, CountsOfBothSignsStayApartForMillionsOfPairs) {
  const std::int64_t pairs = 20'000'000;
  const double signs = 5'000'000 * negative_sign + 15'000'000;
  EXPECT_EQ(sign_share(1, signs, pairs), 0.75);
  EXPECT_EQ(sign_share(-1, signs, pairs), 0.25);
}

}  // namespace
}  // namespace tributary
