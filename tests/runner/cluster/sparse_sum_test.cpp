// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/sparse_sum.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/errors.h"

namespace tributary {
namespace {

const SparseSum no_keys;

TEST(SparseSum, AddsTheNumbersOfEqualKeys) {
  const SparseSum left{2, {4, 7}, {1, 2, 3, 4}}, right{2, {4, 7}, {10, 20, 30, 40}};
  EXPECT_EQ(added(left, right), (SparseSum{2, {4, 7}, {11, 22, 33, 44}}));
}

TEST(SparseSum, KeepsTheNumbersOfOtherKeys) {
  const SparseSum left{2, {-1, 7}, {1, 2, 3, 4}}, right{2, {0, 9'000'000'000}, {5, 6, 7, 8}};
  const SparseSum both{2, {-1, 0, 7, 9'000'000'000}, {1, 2, 5, 6, 3, 4, 7, 8}};
  EXPECT_EQ(added(left, right), both);
  EXPECT_EQ(added(right, left), both);
  EXPECT_EQ(added({1, {1, 2}, {1, 2}}, {1, {3}, {3}}), (SparseSum{1, {1, 2, 3}, {1, 2, 3}})) << "all behind the others";
}

TEST(SparseSum, TakesEqualAndOtherKeysTogether) {
  const SparseSum left{1, {1, 3, 5, 6}, {0.1, 0.3, 0.5, 0.6}}, right{1, {2, 3, 6, 8}, {2, 3, 6, 8}};
  EXPECT_EQ(added(left, right), (SparseSum{1, {1, 2, 3, 5, 6, 8}, {0.1, 2, 0.3 + 3, 0.5, 0.6 + 6, 8}}));
}

TEST(SparseSum, LeavesOneAloneWhereTheOtherIsEmpty) {
  const SparseSum some{2, {4}, {-0.0, 2}};
  for (const SparseSum& sum : {added(some, no_keys), added(no_keys, some)}) {
    EXPECT_EQ(sum, some);
    EXPECT_TRUE(std::signbit(sum.values.front())) << "nothing is added to it, not even 0";
  }
  EXPECT_EQ(added(no_keys, no_keys), no_keys);
}

TEST(SparseSum, AddsNothingToAKeyThatOneSideHas) {
  EXPECT_TRUE(std::signbit(added({1, {4}, {-0.0}}, {1, {5}, {1}}).values.front()));
}

TEST(SparseSum, RefusesAnotherWidth) {
  EXPECT_THROW(added({2, {4}, {1, 2}}, {1, {4}, {1}}), ContractViolation);
  EXPECT_THROW(added({1, {4}, {1}}, {2, {5}, {1, 2}}), ContractViolation);
}

TEST(SparseSum, IsSoundWithAscendingKeysAndAllTheirNumbers) {
  EXPECT_TRUE(is_sound(no_keys));
  EXPECT_TRUE(is_sound({2, {-3, 4}, {1, 2, 3, 4}}));
  EXPECT_FALSE(is_sound({2, {}, {}})) << "a width of no keys";
  EXPECT_FALSE(is_sound({0, {}, {1}}));
  EXPECT_FALSE(is_sound({0, {4}, {}}));
  EXPECT_FALSE(is_sound({-1, {4}, {1}}));
  EXPECT_FALSE(is_sound({1, {4, 4}, {1, 2}}));
  EXPECT_FALSE(is_sound({1, {4, 3}, {1, 2}}));
  EXPECT_FALSE(is_sound({2, {3, 4}, {1, 2, 3}}));
  EXPECT_FALSE(is_sound({2, {3, 4}, {1, 2, 3, 4, 5, 6}}));
}

}  // namespace
}  // namespace tributary
