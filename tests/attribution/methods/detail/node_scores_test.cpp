// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/node_scores.h"

#include <gtest/gtest.h>

#include "attribution/model/tensors.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing::node_scores {
namespace {

const NodeTable three_of_four{NodeKind::heads, Site::z, 2, 3, 4};
const NodeTable single{NodeKind::neurons, Site::neurons, 2, 12, 1};

/// 0, 1, 2, … as [pair 2, pos 2, width 12]
at::Tensor counting(at::ScalarType type = at::kDouble) { return at::arange(48, type).view({2, 2, 12}); }

TEST(NodeScores, SumTheNumbersOfANodeWhichLieSideBySide) {
  const at::Tensor sums = detail::node_sums(counting(), three_of_four);
  ASSERT_EQ(sums.sizes(), (at::IntArrayRef{2, 2, 3}));
  EXPECT_EQ(sums[0][0][0].item<double>(), 0 + 1 + 2 + 3);
  EXPECT_EQ(sums[0][0][2].item<double>(), 8 + 9 + 10 + 11);
  EXPECT_EQ(sums[1][1][1].item<double>(), 40 + 41 + 42 + 43);
  expect_same_bits(detail::node_sums(counting(), single), counting());
}

TEST(NodeScores, NormsAreEuclideanAndOfOneNumberItsMagnitude) {
  const at::Tensor x = at::tensor({3.0, 0.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 1.0, 1.0, -1.0}, at::kDouble);
  expect_same_bits(detail::node_norms(x, three_of_four), at::tensor({5.0, 0.0, 2.0}, at::kDouble));
  expect_same_bits(detail::node_norms(x, single), x.abs());
}

TEST(NodeScores, AreOfTheTypeOfWhatIsReadAndSummedInFloat64) {
  // In float32 the ones would be lost beside the first number.
  const at::Tensor x = at::tensor({1e8F, 1.0F, 1.0F, -1e8F}, at::kFloat);
  const NodeTable one{NodeKind::mlps, Site::mlp_out, 1, 1, 4};
  const at::Tensor sum = detail::node_sums(x, one);
  EXPECT_EQ(sum.scalar_type(), at::kFloat);
  EXPECT_EQ(sum.item<float>(), 2.0F);
  const at::Tensor scores = at::empty({1, 1}, at::kFloat);
  detail::write_products(scores, x.view({1, 4}), at::ones({1, 4}, at::kFloat), one);
  EXPECT_EQ(scores.item<float>(), 2.0F);
  EXPECT_EQ(detail::node_norms(x, one).scalar_type(), at::kFloat);
  EXPECT_EQ(detail::node_norms(at::full({4}, 1e30F, at::kFloat), one).item<float>(),
            2e30F);  // its square is no float32
}

TEST(NodeScores, OfProductsGoToTheLastPositionsAndLeaveTheOthers) {
  const at::Tensor difference = counting();
  const at::Tensor gradient = counting() + 0.5;
  for (const NodeTable& table : {three_of_four, single}) {
    const at::Tensor all = at::full({2, 5, table.nodes}, -7.0, at::kDouble);
    detail::write_products(all, difference, gradient, table);
    EXPECT_EQ(largest(all.narrow(1, 0, 3) + 7), 0);
    const at::Tensor expected = (difference * gradient).view({2, 2, table.nodes, table.dims}).sum(-1);
    expect_close(all.narrow(1, 3, 2), expected);
  }
}

TEST(NodeScores, MayBeWrittenOverTheGradientsOfSingleNumbers) {
  const at::Tensor gradient = counting() + 0.5;
  const at::Tensor expected = counting() * gradient;
  detail::write_products(gradient, counting(), gradient, single);
  expect_same_bits(gradient, expected);
}

}  // namespace
}  // namespace tributary::testing::node_scores
