// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using Numbers = std::vector<double>;

TEST(Pearson, IsOneForLinesAndMinusOneForFallingOnes) {
  const Numbers x{1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(pearson(x, Numbers{3, 5, 7, 9}), 1);
  EXPECT_DOUBLE_EQ(pearson(x, Numbers{4, 3, 2, 1}), -1);
}

TEST(Pearson, OfAnscombesFirstSetIsTheBooks) {
  // Anscombe 1973, "Graphs in statistical analysis": r = 0.816 for all four sets.
  const Numbers x{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5};
  const Numbers y{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68};
  EXPECT_NEAR(pearson(x, y), 0.81642, 1e-5);
  EXPECT_NEAR(spearman(x, y), 0.81818, 1e-5);  // by ranks, Σd² = 40
}

TEST(Pearson, IsUndefinedWhereNothingVaries) {
  EXPECT_TRUE(std::isnan(pearson(Numbers{1, 1, 1}, Numbers{1, 2, 3})));
  EXPECT_TRUE(std::isnan(pearson(Numbers{1}, Numbers{1})));
}

TEST(Pearson, OfEqualValuesIsUndefinedWhateverTheirMeanIsRoundedTo) {
  const Numbers y{1, 2, 4};
  for (double value = 0.1; value < 3; value += 0.1) {
    const Numbers x(3, value);
    EXPECT_TRUE(std::isnan(pearson(x, y)) && std::isnan(pearson(y, x))) << value;
    for (const Numbers& weight : {Numbers{1, 1, 1}, Numbers{1, 36.7, 36.7}, Numbers{0.3, 1.1, 7}}) {
      EXPECT_TRUE(std::isnan(weighted_pearson(x, y, weight)) && std::isnan(weighted_pearson(y, x, weight))) << value;
      EXPECT_TRUE(std::isnan(weighted_spearman(x, y, weight)) && std::isnan(weighted_spearman(y, x, weight))) << value;
      EXPECT_TRUE(std::isnan(weighted_spearman(x, x, weight))) << value;
    }
  }
}

TEST(Pearson, StaysBetweenItsEnds) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 1000; ++i) {
    Numbers x, y, weight;
    for (int k = 0; k < 5; ++k) {
      x.push_back(normal(random));
      y.push_back(-3 * x.back() + 0.1);
      weight.push_back(std::abs(normal(random)));
    }
    ASSERT_LE(pearson(x, x), 1);
    ASSERT_GE(pearson(x, y), -1);
    ASSERT_LE(weighted_pearson(x, x, weight), 1);
    ASSERT_GE(weighted_pearson(x, y, weight), -1);
    ASSERT_LE(weighted_spearman(x, x, weight), 1);
  }
}

TEST(Pearson, WithoutTheLargestCellForgetsIt) {
  const Numbers x{-100, 1, 2, 3};
  const Numbers y{-90, 3, 2, 1};
  EXPECT_GT(pearson(x, y), 0.99) << "one cell carries it all";
  EXPECT_DOUBLE_EQ(pearson_without_largest(x, y), -1);
}

TEST(Ranks, TiesShareTheirMean) { EXPECT_THAT(mean_ranks(Numbers{5, 1, 5, 0}), ElementsAre(3.5, 2, 3.5, 1)); }

TEST(Ranks, RefuseWhatHasNoOrder) {
  const Numbers values{1, std::nan(""), 2};
  EXPECT_THROW(mean_ranks(values), ContractViolation);
  EXPECT_THROW(largest(values, 1), ContractViolation);
}

TEST(Spearman, DependsOnOrderAlone) { EXPECT_DOUBLE_EQ(spearman(Numbers{1, 2, 3, 4}, Numbers{1, 10, 1000, 1e9}), 1); }

TEST(WeightedPearson, IsTheFormulasByHand) {
  // x̄ = 1, ȳ = 5/4; Σw(x−x̄)² = 2, Σw(y−ȳ)² = 11/4, Σw(x−x̄)(y−ȳ) = 1.
  EXPECT_NEAR(weighted_pearson(Numbers{0, 1, 2}, Numbers{0, 2, 1}, Numbers{1, 2, 1}), 1 / std::sqrt(5.5), 1e-15);
}

TEST(WeightedSpearman, IsTheFormulasByHand) {
  EXPECT_THAT(weighted_ranks(Numbers{5, 1, 5, 0}, Numbers{1, 2, 3, 4}), ElementsAre(8, 5, 8, 2));
  // Ranks ½, 2, 3½ and ½, 3, 1½, both with mean 2: Σw(·)² = 4½ each, Σw(·)(·) = 1½.
  EXPECT_NEAR(weighted_spearman(Numbers{1, 2, 3}, Numbers{10, 30, 20}, Numbers{1, 2, 1}), 1.0 / 3, 1e-15);
}

TEST(WeightedCorrelations, CountANodeAsOftenAsItsWeightSays) {
  const Numbers x{4, 1, 9, 2, 5, 3};
  const Numbers y{2, 3, 7, 7, 1, -4};
  const Numbers weight{1, 3, 1, 2, 0, 2};
  Numbers all_x, all_y;
  for (std::size_t i = 0; i < x.size(); ++i) {
    all_x.insert(all_x.end(), static_cast<std::size_t>(weight[i]), x[i]);
    all_y.insert(all_y.end(), static_cast<std::size_t>(weight[i]), y[i]);
  }
  EXPECT_NEAR(weighted_pearson(x, y, weight), pearson(all_x, all_y), 1e-14);
  EXPECT_NEAR(weighted_spearman(x, y, weight), spearman(all_x, all_y), 1e-14);
  EXPECT_NEAR(weighted_pearson_without_largest(x, y, weight), pearson_without_largest(all_x, all_y), 1e-14);
}

TEST(WeightedCorrelations, AreUndefinedWhereNothingVaries) {
  EXPECT_TRUE(std::isnan(weighted_pearson(Numbers{1, 2}, Numbers{1, 2}, Numbers{1, 0})));
  EXPECT_TRUE(std::isnan(weighted_pearson(Numbers{1, 2}, Numbers{1, 2}, Numbers{0, 0})));
  EXPECT_TRUE(std::isnan(weighted_spearman(Numbers{1}, Numbers{1}, Numbers{1})));
  EXPECT_TRUE(std::isnan(weighted_pearson_without_largest(Numbers{1, 2}, Numbers{1, 2}, Numbers{1, 1})));
}

TEST(Overlap, CountsSharedPlacesOfTheLargestMagnitudes) {
  const Numbers x{9, -8, 1, 0, 0.5};
  EXPECT_DOUBLE_EQ(overlap(x, Numbers{0, -8, 7, 0, 1}, 2), 0.5);
  EXPECT_DOUBLE_EQ(overlap(x, x, 5), 1);
  EXPECT_TRUE(std::isnan(overlap(x, x, 0)));
  EXPECT_TRUE(std::isnan(overlap(x, x, 6)));
}

TEST(Overlap, IsUndefinedWhereNoneIsLarger) {
  EXPECT_TRUE(std::isnan(overlap(Numbers{0, 0, 0}, Numbers{0, 0, 0}, 1)));
  EXPECT_TRUE(std::isnan(overlap(Numbers{2, -2, 2}, Numbers{1, 2, 3}, 2)));
  EXPECT_TRUE(std::isnan(overlap(Numbers{1, 2, 3}, Numbers{2, -2, 2}, 2)));
}

TEST(DifferentValues, CountEachOnce) {
  EXPECT_EQ(different_values(Numbers{0, 3, 0, -3, 3}), 3U);
  EXPECT_EQ(different_values(Numbers{0.0, -0.0}), 1U);
  EXPECT_EQ(different_values(Numbers{}), 0U);
}

TEST(Overlap, TiesGoToTheEarlierPlace) { EXPECT_THAT(largest(Numbers{1, -1, 1, 2}, 2), ElementsAre(0, 3)); }

TEST(Auroc, IsTheShareOfPairsInOrder) {
  EXPECT_DOUBLE_EQ(auroc(Numbers{3, 4}, Numbers{1, 2}), 1);
  EXPECT_DOUBLE_EQ(auroc(Numbers{1, 2}, Numbers{3, 4}), 0);
  EXPECT_DOUBLE_EQ(auroc(Numbers{1, 3}, Numbers{2, 2}), 0.5);
  EXPECT_DOUBLE_EQ(auroc(Numbers{2, 3}, Numbers{2, 1}), 3.5 / 4) << "a tie counts half";
  EXPECT_TRUE(std::isnan(auroc(Numbers{}, Numbers{1})));
}

}  // namespace
}  // namespace tributary
