// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/sparse_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "common/errors.h"

namespace tributary::testing {
namespace {

using Numbers = std::map<std::int64_t, std::vector<double>>;

/// Leaves `first` to `first + 2^level - 1` as far as there are any: by key the halves' sums, the left one first.
Numbers node(const std::vector<SparseScores>& leaves, int level, std::size_t first) {
  Numbers all;
  if (first >= leaves.size()) return all;
  if (level == 0) {
    const auto width = static_cast<std::size_t>(leaves[first].width);
    for (std::size_t i = 0; i < leaves[first].keys.size(); ++i) {
      const auto begin = leaves[first].values.begin() + static_cast<std::ptrdiff_t>(i * width);
      all[leaves[first].keys[i]] = {begin, begin + static_cast<std::ptrdiff_t>(width)};
    }
    return all;
  }
  all = node(leaves, level - 1, first);
  for (const auto& [key, numbers] : node(leaves, level - 1, first + (std::size_t(1) << (level - 1)))) {
    const auto [place, is_new] = all.emplace(key, numbers);
    if (is_new) continue;
    for (std::size_t i = 0; i < numbers.size(); ++i) place->second[i] += numbers[i];
  }
  return all;
}

/// Some of twenty keys each; numbers over many orders of magnitude, so that every other order of additions shows.
std::vector<SparseScores> random_leaves(std::size_t n, std::int64_t width) {
  std::mt19937_64 random(n);
  std::normal_distribution<double> normal;
  std::vector<SparseScores> leaves;
  for (std::size_t i = 0; i < n; ++i) {
    SparseScores leaf{width, {}, {}};
    for (std::int64_t key = 0; key < 20; ++key) {
      if (i == 2 || random() % 2 == 0) continue;  // one has none
      leaf.keys.push_back(7 * key);
      for (std::int64_t k = 0; k < width; ++k) leaf.values.push_back(std::exp(12 * normal(random)) * normal(random));
    }
    leaves.push_back(leaf);
  }
  return leaves;
}

TEST(SparseTree, IsTheRecursiveDefinitionForAnyNumberOfPairs) {
  for (const std::int64_t width : {1, 3}) {
    for (std::size_t n = 0; n <= 33; ++n) {
      SCOPED_TRACE(n);
      const std::vector<SparseScores> leaves = random_leaves(n, width);
      detail::SparseTree tree;
      for (std::size_t first = 0, count = 1; first < n; first += count, count = 2 * count % 7) {  // 1, 2, 4, 1, …
        const auto begin = leaves.begin() + static_cast<std::ptrdiff_t>(first);
        tree.add({begin, begin + static_cast<std::ptrdiff_t>(std::min(count, n - first))});
      }
      const SparseScores sum = tree.take_sum();
      const Numbers wanted = node(leaves, 6, 0);
      ASSERT_EQ(sum.keys.size(), wanted.size());
      std::size_t i = 0;
      for (const auto& [key, numbers] : wanted) {
        EXPECT_EQ(sum.keys[i], key);
        for (const double& number : numbers) {
          EXPECT_EQ(
              sum.values[i * static_cast<std::size_t>(width) + static_cast<std::size_t>(&number - numbers.data())],
              number);
        }
        ++i;
      }
      EXPECT_EQ(sum.values.size(), sum.keys.size() * static_cast<std::size_t>(width));
      EXPECT_TRUE(tree.take_sum().keys.empty());  // it has been taken
    }
  }
}

TEST(SparseTree, KeysHaveAsManyNumbersInEveryPair) {
  detail::SparseTree tree;
  tree.add({SparseScores{1, {3}, {0.5}}});
  EXPECT_THROW(tree.add({SparseScores{3, {3}, {0.5, 0.25, 1}}}), ContractViolation);
}

}  // namespace
}  // namespace tributary::testing
