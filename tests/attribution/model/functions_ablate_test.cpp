// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <tuple>

#include "attribution/model/functions.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing::functions_ablate {
namespace {

constexpr std::int64_t neurons = 21;
constexpr std::int64_t length = 4;

/// dtype, positions that a has, positions that the ranking has.
class Ablating : public ::testing::TestWithParam<std::tuple<at::ScalarType, int, int>> {};
INSTANTIATE_TEST_SUITE_P(Functions, Ablating,
                         ::testing::Combine(::testing::Values(at::kDouble, at::kFloat, at::kBFloat16),
                                            ::testing::Values(1, 4), ::testing::Values(1, 4)));

TEST_P(Ablating, SetsWhatTheCircuitLeavesOutAndNothingElse) {
  const auto [type, positions, ranked] = GetParam();
  at::manual_seed(7);
  const at::Tensor start = at::randn({5, positions, neurons}, at::kDouble).to(type);
  Ablate what;
  // Of two layers the second, so that rows lie apart.
  what.ranks = at::randperm(neurons * ranked * 3 * 2, at::kInt).view({3, 2, ranked, neurons}).select(1, 1);
  what.values = at::randn({4, length, neurons}, at::kDouble).to(type);
  what.ranking = at::tensor({2, 0, 1, 1, 0}, at::kLong);
  what.pair = at::tensor({3, 0, 1, 0, 2}, at::kLong);
  const auto half = static_cast<int>(neurons * ranked * 3);
  what.kept = at::tensor({half, half, 0, 2 * half, half}, at::kInt);
  what.complement = at::tensor(std::vector<int>{0, 1, 0, 0, 1}, at::kInt).to(at::kBool);

  at::Tensor expected = start.clone();
  for (std::int64_t s = 0; s < 5; ++s) {
    for (std::int64_t t = 0; t < positions; ++t) {
      const std::int64_t position = length - positions + t;
      for (std::int64_t i = 0; i < neurons; ++i) {
        const at::Tensor ranks = what.ranks[what.ranking[s].item<std::int64_t>()];
        const int rank = ranks[ranked == 1 ? 0 : position][i].item<int>();
        const bool inside = rank < what.kept[s].item<int>();
        if (inside == what.complement[s].item<bool>()) {
          expected[s][t][i] = what.values[what.pair[s].item<std::int64_t>()][position][i];
        }
      }
    }
  }
  const at::Tensor a = start.clone();
  ablate(a, what);
  expect_same_bits(a, expected);
  EXPECT_FALSE(at::equal(expected[0], start[0]));
  EXPECT_FALSE(at::equal(expected[1], start[1]));
  const at::Tensor other = start.clone();
  generic::ablate(other, what);
  expect_same_bits(other, expected);
}

TEST(Ablating, OneSetOfValuesServesAllPairs) {
  const at::Tensor a = at::zeros({3, length, neurons}, at::kFloat);
  Ablate what;
  what.ranks = at::zeros({1, length, neurons}, at::kInt);
  what.values = at::randn({1, length, neurons}, at::kFloat);
  what.ranking = what.pair = at::zeros({3}, at::kLong);
  what.kept = at::zeros({3}, at::kInt);
  what.complement = at::zeros({3}, at::kBool);
  ablate(a, what);
  expect_same_bits(a, what.values.expand({3, length, neurons}).contiguous());
}

}  // namespace
}  // namespace tributary::testing::functions_ablate
