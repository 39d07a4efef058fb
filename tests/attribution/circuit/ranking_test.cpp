// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace tributary {
namespace {

TEST(Ranking, AbsoluteTakesTheLargestMagnitudes) {
  EXPECT_EQ(ranked({0.5F, -2, 1, -0.1F}, Ranking::absolute), (std::vector<std::int64_t>{1, 2, 0, 3}));
  EXPECT_EQ(ranked({0.5F, -2, 1, -0.1F}, Ranking::signed_score), (std::vector<std::int64_t>{2, 0, 3, 1}));
}

TEST(Ranking, ExactTiesGoByPlace) {
  const std::vector<float> scores = {1, -3, 3, 1, -1, 3, -3, 0, -0.0F};
  EXPECT_EQ(ranked(scores, Ranking::absolute), (std::vector<std::int64_t>{1, 2, 5, 6, 0, 3, 4, 7, 8}));
  EXPECT_EQ(ranked(scores, Ranking::signed_score), (std::vector<std::int64_t>{2, 5, 0, 3, 7, 8, 4, 1, 6}));
}

TEST(Ranking, UnscoredNeuronsComeLast) {
  const float none = std::nanf("");
  EXPECT_EQ(ranked({none, -5, none, 0}, Ranking::signed_score), (std::vector<std::int64_t>{3, 1, 0, 2}));
  EXPECT_EQ(count_of_scored({none, -5, none, 0}), 2);
}

/// The definition: a stable sort by key, NaN below everything.
std::vector<std::int64_t> by_definition(const std::vector<float>& scores, Ranking ranking) {
  const auto key = [ranking](float s) {
    return std::isnan(s) ? -std::numeric_limits<float>::infinity() : ranking == Ranking::absolute ? std::abs(s) : s;
  };
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return key(scores[static_cast<std::size_t>(a)]) > key(scores[static_cast<std::size_t>(b)]);
  });
  return order;
}

TEST(Ranking, IsAStableSortOfAnyNumbers) {
  const float infinity = std::numeric_limits<float>::infinity(), smallest = std::numeric_limits<float>::denorm_min();
  std::vector<float> scores{0.0F,      -0.0F, std::nanf(""), infinity, -infinity, smallest,
                            -smallest, 1.0F,  -1.0F,         -0.0F,    0.0F};
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    // Every pattern of bits, and numbers that meet their equals.
    const auto bits = static_cast<std::uint32_t>(random());
    scores.push_back(i % 2 == 0 ? std::bit_cast<float>(bits)
                                : static_cast<float>(static_cast<int>(bits % 64) - 32) / 8);
  }
  for (const Ranking ranking : {Ranking::absolute, Ranking::signed_score}) {
    EXPECT_EQ(ranked(scores, ranking), by_definition(scores, ranking));
  }
}

TEST(Ranking, PlacesInvertTheOrder) { EXPECT_EQ(places({2, 0, 1}), (std::vector<std::int32_t>{1, 2, 0})); }

TEST(Ranking, SelectionsBecomeCounts) {
  const std::vector<float> scores = {4, -3, 2, -1};
  EXPECT_EQ(count_of_threshold(scores, 2, Ranking::absolute), 3);
  EXPECT_EQ(count_of_threshold(scores, 2, Ranking::signed_score), 2);
  EXPECT_EQ(count_of_mass(scores, 0.7, Ranking::absolute), 2);  // 4 + 3 of 10
  EXPECT_EQ(count_of_mass(scores, 0.71, Ranking::absolute), 3);
  EXPECT_EQ(count_of_mass(scores, 1, Ranking::absolute), 4);
  EXPECT_EQ(count_of_fraction(0.001, 230400), 230);
  EXPECT_EQ(count_of_fraction(0.1, 230400), 23040);  // 0.1 is not a binary fraction
  EXPECT_EQ(count_of_fraction(1, 7), 7);
}

}  // namespace
}  // namespace tributary
