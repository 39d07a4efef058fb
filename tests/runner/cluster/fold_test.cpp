// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The fold: same bits as the tree written down by recursion, whatever order the nodes come in.

#include "runner/cluster/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "common/errors.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using testing::adversarial;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::int64_t> shuffled(std::int64_t n, unsigned seed) {
  std::vector<std::int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));
  return order;
}

bool is_odd(std::int64_t index) { return index % 2 == 1; }

double reference(std::int64_t n) {
  return testing::lane_sum(n, [](std::int64_t index) { return adversarial(index, 0); }).value();
}

TEST(LaneFold, HasTheBitsOfTheTreeInAnyOrder) {
  for (std::int64_t n = 1; n <= 70; ++n) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      LaneFold fold(4, n);
      for (const std::int64_t index : shuffled(n, seed)) {
        EXPECT_FALSE(fold.complete());
        fold.add({4, 0, index, {adversarial(index, 0)}});
      }
      ASSERT_TRUE(fold.complete());
      EXPECT_THAT(fold.take(), ElementsAre(reference(n))) << n << " units, seed " << seed;
    }
  }
}

TEST(LaneFold, DataTellsOrdersApart) {
  int different = 0;
  for (std::int64_t n = 8; n <= 70; ++n) {
    double naive = 0;
    for (std::int64_t index = 0; index < n; ++index) naive += adversarial(index, 0);
    different += naive != reference(n) ? 1 : 0;
  }
  EXPECT_GT(different, 40);
}

TEST(LaneFold, TakesNodesOfAnyLevel) {
  constexpr std::int64_t kUnits = 53;
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<TreeNode> nodes;
    for (std::int64_t first = 0; first < kUnits;) {
      int level = static_cast<int>(random() % 5);
      while (first % (std::int64_t{1} << level) != 0) --level;
      const auto sum = testing::tree_sum(first, std::int64_t{1} << level, kUnits,
                                         [](std::int64_t index) { return adversarial(index, 0); });
      nodes.push_back({0, level, first >> level, {sum.value()}});
      first += std::int64_t{1} << level;
    }
    std::shuffle(nodes.begin(), nodes.end(), random);
    LaneFold fold(0, kUnits);
    for (TreeNode& node : nodes) fold.add(std::move(node));
    ASSERT_TRUE(fold.complete());
    EXPECT_THAT(fold.take(), ElementsAre(reference(kUnits)));
  }
}

TEST(LaneFold, AddsSparseSumsByTheSameTreeInAnyOrder) {
  for (std::int64_t n = 1; n <= 70; ++n) {
    const UnitTable table(testing::make_units({n}));
    const std::uint64_t expected = testing::digest(testing::expected_sparse(testing::make_units({n}), is_odd));
    for (unsigned seed = 0; seed < 5; ++seed) {
      LaneFold fold(0, n);
      for (const std::int64_t index : shuffled(n, seed)) {
        if (!is_odd(index)) {
          fold.skip(index);
        } else {
          fold.add({0, 0, index, {}, testing::make_result(table.spec(index), index).sparse});
        }
      }
      EXPECT_EQ(testing::digest({fold.take_sparse()}), expected) << n << " units, seed " << seed;
    }
  }
}

TEST(LaneFold, AddsSparseSumsOfThreeUnits) {
  const std::vector<SparseSum> units{{1, {3, 5}, {0.1, 1e17}}, {1, {5, 9}, {-1e17, 7}}, {1, {3, 5}, {0.2, 1}}};
  for (const std::vector<std::int64_t>& order :
       std::vector<std::vector<std::int64_t>>{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
    LaneFold fold(0, 3);
    for (const std::int64_t index : order) fold.add({0, 0, index, {}, units[static_cast<std::size_t>(index)]});
    EXPECT_EQ(fold.take_sparse(), (SparseSum{1, {3, 5, 9}, {0.1 + 0.2, (1e17 - 1e17) + 1, 7}}));
  }
}

TEST(LaneFold, GivesSparsePartials) {
  LaneFold fold(0, 4);
  fold.add({0, 0, 2, {}, {1, {4}, {1}}});
  fold.add({0, 0, 3, {}, {1, {4, 6}, {2, 3}}});
  fold.add({0, 0, 0, {}});
  EXPECT_THROW((void)fold.take_sparse(), ContractViolation) << "a unit is missing";
  const std::vector<TreeNode> nodes = fold.take_partials();
  ASSERT_EQ(nodes.size(), 2U);
  EXPECT_EQ(nodes[0].sparse, SparseSum{});
  EXPECT_EQ(nodes[1].sparse, (SparseSum{1, {4, 6}, {3, 3}}));
}

TEST(LaneFold, RefusesSparseSumsThatDoNotFitAndGoesOn) {
  LaneFold fold(0, 3);
  fold.add({0, 0, 0, {}, {2, {4}, {1, 2}}});
  EXPECT_THROW(fold.add({0, 0, 1, {}, {1, {4}, {1}}}), ContractViolation) << "another width";
  EXPECT_THROW(fold.add({0, 0, 1, {}, {1, {8}, {1}}}), ContractViolation) << "of another key";
  EXPECT_THROW(fold.add({0, 0, 1, {}, {2, {4}, {1}}}), ContractViolation) << "a number is missing";
  fold.add({0, 0, 1, {}});
  EXPECT_THROW(fold.add({0, 0, 2, {}, {1, {8}, {1}}}), ContractViolation) << "a unit without keys has no width";
  fold.add({0, 0, 2, {}, {2, {5}, {3, 4}}});
  EXPECT_EQ(fold.take_sparse(), (SparseSum{2, {4, 5}, {1, 2, 3, 4}}));
}

TEST(LaneFold, SkipsMissingUnits) {
  constexpr std::int64_t kUnits = 21;
  for (std::uint64_t missing = 1; missing < (1U << kUnits); missing = missing * 5 + 3) {
    const auto is_missing = [&](std::int64_t index) { return (missing >> index) % 2 == 1; };
    LaneFold fold(0, kUnits);
    for (const std::int64_t index : shuffled(kUnits, static_cast<unsigned>(missing))) {
      if (is_missing(index)) {
        fold.skip(index);
      } else {
        fold.add({0, 0, index, {adversarial(index, 0)}});
      }
    }
    const auto sum = testing::lane_sum(kUnits, [&](std::int64_t index) -> std::optional<double> {
      if (is_missing(index)) return std::nullopt;
      return adversarial(index, 0);
    });
    EXPECT_THAT(fold.take(), ElementsAre(sum.value()));
  }
}

TEST(LaneFold, OfNothingIsEmpty) {
  LaneFold fold(0, 3);
  for (const std::int64_t index : {1, 0, 2}) fold.skip(index);
  ASSERT_TRUE(fold.complete());
  EXPECT_EQ(fold.take_sparse(), SparseSum{});
  EXPECT_THAT(fold.take(), IsEmpty());
}

TEST(LaneFold, KeepsTheSignOfZero) {
  LaneFold fold(0, 2);
  fold.add({0, 0, 0, {-0.0}});
  fold.skip(1);
  EXPECT_TRUE(std::signbit(fold.take().at(0)));
}

TEST(LaneFold, HoldsFewPartialsInOrder) {
  LaneFold fold(0, 1000);
  std::size_t most = 0;
  for (std::int64_t index = 0; index < 1000; ++index) {
    fold.add({0, 0, index, {1.0}});
    most = std::max(most, fold.partials());
  }
  EXPECT_LE(most, 10U);
  EXPECT_THAT(fold.take(), ElementsAre(1000.0));
}

TEST(LaneFold, GivesPartialsMergedAsFarAsTheyGo) {
  LaneFold fold(2, 7);
  for (const std::int64_t index : {2, 3, 5, 6}) fold.add({2, 0, index, {1.0}});
  const std::vector<TreeNode> nodes = fold.take_partials();
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_EQ(std::pair(nodes[0].level, nodes[0].index), std::pair(0, std::int64_t{5}));
  EXPECT_EQ(std::pair(nodes[1].level, nodes[1].index), std::pair(1, std::int64_t{1}));
  EXPECT_EQ(std::pair(nodes[2].level, nodes[2].index), std::pair(1, std::int64_t{3}));  // unit 6, the lane's last
  EXPECT_THAT(nodes[1].sum, ElementsAre(2.0));
  EXPECT_EQ(LaneFold::range(nodes[2], 7), std::pair(std::int64_t{6}, std::int64_t{7}));
}

TEST(LaneFold, RefusesWhatDoesNotFitAndGoesOn) {
  LaneFold fold(0, 6);
  fold.add({0, 1, 1, {1.0}});
  EXPECT_THROW(fold.add({0, 0, 2, {1.0}}), ContractViolation) << "below a node that is there";
  EXPECT_THROW(fold.add({0, 2, 0, {1.0}}), ContractViolation) << "above a node that is there";
  EXPECT_THROW(fold.add({0, 1, 1, {1.0}}), ContractViolation) << "twice";
  EXPECT_THROW(fold.skip(3), ContractViolation);
  EXPECT_THROW(fold.add({0, 0, 0, {1.0, 2.0}}), ContractViolation) << "another size";
  EXPECT_THROW(fold.add({1, 0, 0, {1.0}}), ContractViolation) << "another lane";
  EXPECT_THROW(fold.add({0, 0, 6, {1.0}}), ContractViolation);
  EXPECT_THROW(fold.add({0, 4, 0, {1.0}}), ContractViolation);
  EXPECT_THROW(fold.add({0, -1, 0, {1.0}}), ContractViolation);
  EXPECT_THROW((void)fold.take(), ContractViolation);
  for (const std::int64_t index : {0, 1, 4, 5}) fold.add({0, 0, index, {1.0}});
  EXPECT_THAT(fold.take(), ElementsAre(5.0));
}

}  // namespace
}  // namespace tributary
