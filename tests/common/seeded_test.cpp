// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/seeded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace tributary {
namespace {

TEST(Seeded, MixedIsSplitmix64) {
  // The first outputs of the published generator started at 0: its state grows by the golden gamma each time.
  EXPECT_EQ(mixed(0), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(mixed(0x9e3779b97f4a7c15ULL), 0x6e789e6aa1b965f4ULL);
}

TEST(Seeded, DrawsStayBelowTheBoundAndReachAll) {
  std::mt19937_64 random(5);
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen.at(draw_below(random, 7));
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
}

TEST(Seeded, AShuffleIsASeededPermutation) {
  std::vector<int> items(50);
  std::iota(items.begin(), items.end(), 0);
  std::vector<int> same = items;
  std::vector<int> other = items;
  const std::vector<int> sorted = items;
  shuffle(items, 3);
  shuffle(same, 3);
  shuffle(other, 4);
  EXPECT_EQ(items, same);
  EXPECT_NE(items, other);
  EXPECT_NE(items, sorted);
  EXPECT_TRUE(std::is_permutation(items.begin(), items.end(), sorted.begin()));
}

}  // namespace
}  // namespace tributary
