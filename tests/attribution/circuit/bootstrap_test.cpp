// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "attribution/circuit/curve.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;

std::vector<std::int64_t> each_alone(std::size_t n) {
  std::vector<std::int64_t> clusters(n);
  std::iota(clusters.begin(), clusters.end(), 0);
  return clusters;
}

TEST(Quantiles, OfTheNormalAndStudentsDistributionAreTheTables) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963985, 1e-8);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306, 1e-8);
  EXPECT_NEAR(student_quantile(0.975, 5), 2.570582, 1e-3);
  EXPECT_NEAR(student_quantile(0.975, 39), 2.022691, 1e-5);
  EXPECT_NEAR(student_quantile(0.05, 10), -1.812461, 1e-4);
}

TEST(Clusters, AreNumberedAsTheyAppear) { EXPECT_THAT(clusters_of({"b", "a", "b"}), ElementsAre(0, 1, 0)); }

TEST(Bootstrap, IsTheSameForTheSameSeed) {
  const std::vector<double> values{1, 5, 2, 8, 3, 9};
  const auto mean = [&](std::span<const double> weight) { return weighted_mean(weight, values); };
  const Interval once = bootstrap(each_alone(6), mean, {});
  const Interval again = bootstrap(each_alone(6), mean, {});
  EXPECT_EQ(once.low, again.low);
  EXPECT_EQ(once.high, again.high);
  BootstrapOptions other;
  other.seed = 1;
  EXPECT_NE(bootstrap(each_alone(6), mean, other).low, once.low);
}

TEST(Bootstrap, NeedsTwoClustersAndAStatisticThatIsDefined) {
  const std::vector<double> values{1, 2};
  const auto mean = [&](std::span<const double> weight) { return weighted_mean(weight, values); };
  EXPECT_TRUE(std::isnan(bootstrap({0, 0}, mean, {}).low));
  EXPECT_TRUE(std::isnan(bootstrap({0, 1}, [](std::span<const double>) { return std::nan(""); }, {}).high));
}

TEST(Bootstrap, HasNoEndsWhereMoreResamplesAreUndefinedThanItLeavesOut) {
  // A pair is in a resample of all but (1 − 1/n)ⁿ, about a third, of them; one of four in all but 1.6 %.
  const std::vector<double> values{1, 5, 2, 8, 3, 9, 4, 4, 2, 7, 5, 6};
  const auto defined_with = [&](const std::vector<std::size_t>& needed) {
    return [&values, needed](std::span<const double> weight) {
      const bool there = std::any_of(needed.begin(), needed.end(), [&](std::size_t one) { return weight[one] > 0; });
      return there ? weighted_mean(weight, values) : std::nan("");
    };
  };
  const std::vector<SampledNode> nodes{{1, 1, 0}};
  for (const auto& [needed, has_ends] :
       {std::pair{std::vector<std::size_t>{0}, false}, std::pair{std::vector<std::size_t>{0, 1, 2, 3}, true}}) {
    const auto statistic = defined_with(needed);
    EXPECT_NE(std::isnan(bootstrap(each_alone(12), statistic, {}).low), has_ends);
    const SampleStatistics of_sample = [&](std::span<const double> pair, std::span<const double>) {
      return std::vector<double>{statistic(pair)};
    };
    EXPECT_NE(std::isnan(bootstrap_sample(each_alone(12), nodes, of_sample, {}).front().low), has_ends);
  }
}

TEST(Bootstrap, PairsOfOneClusterAreDrawnTogether) {
  // Twice the same pair must not count as two: the interval is that of the pairs without repeats.
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::vector<double> once(12), twice;
  for (double& value : once) value = normal(random);
  twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  std::vector<std::int64_t> clusters = each_alone(12);
  clusters.insert(clusters.end(), clusters.begin(), clusters.begin() + 12);
  const Interval plain =
      bootstrap(each_alone(12), [&](std::span<const double> weight) { return weighted_mean(weight, once); }, {});
  const Interval paired =
      bootstrap(clusters, [&](std::span<const double> weight) { return weighted_mean(weight, twice); }, {});
  EXPECT_NEAR(plain.low, paired.low, 1e-12);
  EXPECT_NEAR(plain.high, paired.high, 1e-12);
}

/// Shares of `cases` synthetic cases whose interval lies wholly below and wholly above the truth.
struct Misses {
  double below = 0, above = 0;
  [[nodiscard]] double coverage() const { return 1 - below - above; }
};

template <typename Draw>
Misses misses(int cases, std::size_t pairs, double truth, const Draw& draw, BootstrapOptions options = {}) {
  Misses result;
  std::mt19937_64 random(7);
  for (int i = 0; i < cases; ++i) {
    const WeightedStatistic statistic = draw(random, pairs);
    options.seed = static_cast<std::uint64_t>(i);
    const Interval interval = bootstrap(each_alone(pairs), statistic, options);
    if (interval.high < truth) result.below += 1.0 / cases;
    if (interval.low > truth) result.above += 1.0 / cases;
  }
  return result;
}

constexpr int cases = 1500;
constexpr double noise = 4 * 0.0056;  // four standard errors of a share of .95 of 1500 cases

TEST(BootstrapCoverage, OfTheMeanOfNormalsIsTheStatedRate) {
  const Misses missed = misses(cases, 20, 3.0, [](std::mt19937_64& random, std::size_t n) -> WeightedStatistic {
    std::normal_distribution<double> normal(3, 1);
    std::vector<double> values(n);
    for (double& value : values) value = normal(random);
    return [values](std::span<const double> weight) { return weighted_mean(weight, values); };
  });
  EXPECT_NEAR(missed.coverage(), 0.95, noise);
  EXPECT_NEAR(missed.below, missed.above, noise) << "both sides miss equally often";
}

TEST(BootstrapCoverage, OfFaithfulnessARatioOfMeansIsTheStatedRate) {
  // m of the full model is 3 ± 1, of the empty one 0.2 ± 0.5, and a circuit carries 0.8 of each pair's effect, ± 0.4.
  const Misses missed = misses(cases, 40, 0.8, [](std::mt19937_64& random, std::size_t n) -> WeightedStatistic {
    std::normal_distribution<double> normal;
    std::vector<double> full(n), empty(n), circuit(n);
    for (std::size_t i = 0; i < n; ++i) {
      full[i] = 3 + normal(random);
      empty[i] = 0.2 + 0.5 * normal(random);
      circuit[i] = empty[i] + 0.8 * (full[i] - empty[i]) + 0.4 * normal(random);
    }
    return [=](std::span<const double> weight) {
      return normalised(weighted_mean(weight, circuit), {weighted_mean(weight, full), weighted_mean(weight, empty)});
    };
  });
  EXPECT_NEAR(missed.coverage(), 0.95, noise);
}

TEST(BootstrapCoverage, OfASkewedMeanFallsLittleShort) {
  // Exponential values: known to be hard for every bootstrap at this size; the plain percentile interval covers 0.92.
  const Misses missed = misses(cases, 40, 1.0, [](std::mt19937_64& random, std::size_t n) -> WeightedStatistic {
    std::exponential_distribution<double> exponential;
    std::vector<double> values(n);
    for (double& value : values) value = exponential(random);
    return [values](std::span<const double> weight) { return weighted_mean(weight, values); };
  });
  EXPECT_GT(missed.coverage(), 0.93 - noise);
}

/// k values of one stratum, each standing for 1 / inclusion nodes; and statistics of their weights alone.
struct OneStratum {
  std::vector<double> values;
  std::vector<SampledNode> nodes;

  explicit OneStratum(std::size_t k, double inclusion) {
    std::mt19937_64 random(2);
    std::normal_distribution<double> normal;
    for (std::size_t i = 0; i < k; ++i) {
      values.push_back(normal(random));
      nodes.push_back({1 / inclusion, inclusion, 0});
    }
  }
  [[nodiscard]] double mean() const { return weighted_mean(std::vector<double>(values.size(), 1), values); }
  [[nodiscard]] double standard_error() const {
    double squares = 0;
    for (const double value : values) squares += (value - mean()) * (value - mean());
    const auto k = static_cast<double>(values.size());
    return std::sqrt(squares / (k - 1) / k);
  }
};

TEST(BootstrapOfASample, OfTheMeanIsAsWideAsTheFinitePopulationSays) {
  // A mean of k of N nodes varies with s √((1 − k/N) / k).
  for (const double inclusion : {0.001, 0.5}) {
    const OneStratum stratum(60, inclusion);
    const SampleStatistics mean = [&](std::span<const double>, std::span<const double> node) {
      return std::vector<double>{weighted_mean(node, stratum.values)};
    };
    BootstrapOptions options;
    options.resamples = 4000;
    const Interval found = bootstrap_sample(each_alone(200), stratum.nodes, mean, options).front();
    const double half = 1.98 * stratum.standard_error() * std::sqrt(1 - inclusion);
    EXPECT_NEAR(found.low, stratum.mean() - half, 0.1 * half);
    EXPECT_NEAR(found.high, stratum.mean() + half, 0.1 * half);
  }
}

TEST(BootstrapOfASample, LeavesCertainNodesAndLonelyOnesAsTheyAre) {
  std::vector<SampledNode> nodes{{1, 1, 0}, {10, 0.1, 0}, {10, 0.1, 0}, {20, 0.05, 1}};
  bool varied = false;
  const SampleStatistics weights = [&](std::span<const double>, std::span<const double> node) {
    EXPECT_EQ(node[0], 1);
    EXPECT_EQ(node[3], 20);
    EXPECT_NEAR(node[1] + node[2], 20, 1e-12) << "a stratum stands for as many nodes as before";
    EXPECT_GT(std::min(node[1], node[2]), 0) << "no node counts negatively";
    varied = varied || node[1] != 10;
    return std::vector<double>{0};
  };
  bootstrap_sample(each_alone(5), nodes, weights, {});
  EXPECT_TRUE(varied);
}

TEST(BootstrapOfASample, DrawsPairsByCluster) {
  const OneStratum stratum(3, 1);
  const SampleStatistics weights = [&](std::span<const double> pair, std::span<const double>) {
    EXPECT_EQ(pair[0], pair[2]);
    EXPECT_EQ(pair[0] + pair[1] + pair[3], 3);
    return std::vector<double>{pair[0]};
  };
  EXPECT_EQ(bootstrap_sample({0, 1, 0, 2}, stratum.nodes, weights, {}).front().low, 0);
  EXPECT_TRUE(std::isnan(
      bootstrap_sample({0, 0}, stratum.nodes, [](auto, auto) { return std::vector<double>{1}; }, {}).front().low))
      << "one prompt pair says nothing of others";
}

}  // namespace
}  // namespace tributary
