// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "attribution/circuit/agreement.h"
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

/// Exact effects and scores of neurons over pairs: the neurons' own values, and noise that both share in part.
class NoisyScores {
 public:
  static constexpr std::size_t neurons = 60;

  NoisyScores() {
    std::mt19937_64 random(3);
    std::normal_distribution<double> normal;
    for (std::size_t i = 0; i < neurons; ++i) {
      exact_.push_back(normal(random) * std::exp(normal(random)));
      score_.push_back(exact_.back() * (1 + 0.3 * normal(random)));
    }
  }
  [[nodiscard]] double truth() const { return pearson(exact_, score_); }

  WeightedStatistic operator()(std::mt19937_64& random, std::size_t pairs) const {
    std::normal_distribution<double> normal;
    std::vector<std::vector<double>> exact(pairs), score(pairs);
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      for (std::size_t i = 0; i < neurons; ++i) {
        const double shared = 4 * normal(random);
        exact[pair].push_back(exact_[i] + shared);
        score[pair].push_back(score_[i] + 0.8 * shared + 2.4 * normal(random));
      }
    }
    return [exact, score](std::span<const double> weight) {
      std::vector<double> x(neurons, 0), y(neurons, 0);
      for (std::size_t pair = 0; pair < exact.size(); ++pair) {
        for (std::size_t i = 0; i < neurons; ++i) {
          x[i] += weight[pair] * exact[pair][i];
          y[i] += weight[pair] * score[pair][i];
        }
      }
      return pearson(x, y);
    };
  }

 private:
  std::vector<double> exact_, score_;
};

TEST(BootstrapCoverage, OfACorrelationOfMeansIsTheStatedRateWhereResamplesAreTurnedRound) {
  constexpr int some = 300;
  constexpr double standard_error = 0.0126;
  const NoisyScores scores;
  BootstrapOptions options;
  options.resamples = 300;
  options.kind = BootstrapKind::basic;
  EXPECT_NEAR(misses(some, 40, scores.truth(), scores, options).coverage(), 0.95, 3 * standard_error);
  options.kind = BootstrapKind::bca;
  EXPECT_LT(misses(some, 40, scores.truth(), scores, options).coverage(), 0.95 - 4 * standard_error)
      << "which is why agreement takes the basic one";
}

}  // namespace
}  // namespace tributary
