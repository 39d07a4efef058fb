// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pair_tree.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "tests/attribution/closeness.h"

namespace tributary::testing {
namespace {

/// Leaves `first` to `first + 2^level - 1` as far as there are any: the halves' sums, the left one first.
at::Tensor node(const std::vector<at::Tensor>& leaves, int level, std::size_t first) {
  if (first >= leaves.size()) return {};
  if (level == 0) return leaves[first];
  const at::Tensor left = node(leaves, level - 1, first);
  const at::Tensor right = node(leaves, level - 1, first + (std::size_t(1) << (level - 1)));
  return right.defined() ? left + right : left;
}

at::Tensor tree_sum(const std::vector<at::Tensor>& leaves) {
  detail::PairTree tree;
  for (const at::Tensor& leaf : leaves) tree.add(leaf.clone());
  return tree.sum();
}

std::vector<at::Tensor> random_leaves(std::size_t n) {
  at::manual_seed(11);
  std::vector<at::Tensor> leaves;
  // Over many orders of magnitude, so that every other order of additions shows.
  for (std::size_t i = 0; i < n; ++i) {
    leaves.push_back((at::randn({50}, at::kDouble) * 12).exp() * at::randn({50}, at::kDouble));
  }
  return leaves;
}

TEST(PairTree, IsTheRecursiveDefinitionForAnyNumberOfPairs) {
  for (std::size_t n = 1; n <= 33; ++n) {
    const std::vector<at::Tensor> leaves = random_leaves(n);
    SCOPED_TRACE(n);
    expect_same_bits(tree_sum(leaves), node(leaves, 6, 0));
  }
}

TEST(PairTree, IsNotALoop) {
  const std::vector<at::Tensor> leaves = random_leaves(33);
  at::Tensor loop = leaves[0].clone();
  for (std::size_t i = 1; i < leaves.size(); ++i) loop += leaves[i];
  EXPECT_FALSE(at::equal(tree_sum(leaves), loop));
}

TEST(PairTree, AlignedPowersOfTwoAreItsNodes) {
  const std::vector<at::Tensor> leaves = random_leaves(29);
  for (const std::size_t size : {1U, 2U, 4U, 8U, 16U}) {
    std::vector<at::Tensor> parts;
    for (std::size_t first = 0; first < leaves.size(); first += size) {
      const auto begin = leaves.begin() + static_cast<std::ptrdiff_t>(first);
      const auto count = static_cast<std::ptrdiff_t>(std::min(size, leaves.size() - first));
      parts.push_back(tree_sum({begin, begin + count}));
    }
    expect_same_bits(tree_sum(parts), tree_sum(leaves));
  }
}

TEST(PairTree, OfNothingIsUndefined) { EXPECT_FALSE(detail::PairTree().sum().defined()); }

TEST(PairTree, SumsMayBeTakenOnTheWay) {
  const std::vector<at::Tensor> leaves = random_leaves(7);
  detail::PairTree tree;
  for (std::size_t i = 0; i < 7; ++i) {
    tree.add(leaves[i].clone());
    expect_same_bits(tree.sum(), node({leaves.begin(), leaves.begin() + static_cast<std::ptrdiff_t>(i + 1)}, 3, 0));
  }
}

}  // namespace
}  // namespace tributary::testing
