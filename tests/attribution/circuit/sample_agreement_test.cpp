// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/sample_agreement.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "attribution/circuit/agreement.h"

namespace tributary {
namespace {

using Numbers = std::vector<double>;
using Rows = std::vector<Numbers>;

/// A model of 6,000 nodes, with exact effects and scores on 24 prompt pairs. Expected over pairs:
/// - a node's exact effect is z · exp(1.5 z'), z and z' normal: few nodes carry most of it;
/// - its score is 0.8 of that plus 0.3 · z · exp(1.5 z') of other normals, and for one node in a hundred 15 z more:
///   false positives, which the score's own first ones are full of.
/// On a pair both get noise of scale d = 0.2 + 0.5 |effect|: d z shared, of which the score has 0.8, and 0.5 d z of the
/// score's own.
class Population {
 public:
  inline static const NodeShape shape{6, 10, 100, Positions::keep};
  static constexpr std::size_t pairs = 24;

  explicit Population(std::uint64_t seed) : random_(seed) {
    for (std::int64_t node = 0; node < shape.nodes(); ++node) {
      const double effect = normal() * std::exp(1.5 * normal());
      double score = 0.8 * effect + 0.3 * normal() * std::exp(1.5 * normal());
      if (node % 100 == 0) score += 15 * normal();
      exact_.push_back(effect);
      score_.push_back(score);
      // The mean of a pair's noise over the pairs: single pairs are drawn around it, where a node is sampled.
      const double d = scale(effect) / std::sqrt(static_cast<double>(pairs));
      const double shared = d * normal();
      shared_.push_back(shared);
      own_.push_back(0.5 * d * normal());
      realised_exact_.push_back(effect + shared);
      realised_score_.push_back(score + 0.8 * shared + own_.back());
    }
  }

  [[nodiscard]] const Numbers& exact() const { return exact_; }
  [[nodiscard]] const Numbers& score() const { return score_; }
  [[nodiscard]] const Numbers& realised_exact() const { return realised_exact_; }
  [[nodiscard]] const Numbers& realised_score() const { return realised_score_; }
  [[nodiscard]] std::vector<float> scores() const { return {realised_score_.begin(), realised_score_.end()}; }

  /// Effects and scores of sampled nodes on each pair [pair][node], with the realised means.
  std::pair<Rows, Rows> on_pairs(const std::vector<SampledNeuron>& sample) {
    std::pair<Rows, Rows> rows{Rows(pairs), Rows(pairs)};
    for (const SampledNeuron& one : sample) {
      const Node& neuron = one.neuron;
      const auto node =
          static_cast<std::size_t>((neuron.layer * shape.positions + neuron.position) * shape.in_row + neuron.index);
      const Numbers shared = around(shared_[node], scale(exact_[node]));
      const Numbers own = around(own_[node], 0.5 * scale(exact_[node]));
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        rows.first[pair].push_back(exact_[node] + shared[pair]);
        rows.second[pair].push_back(score_[node] + 0.8 * shared[pair] + own[pair]);
      }
    }
    return rows;
  }

 private:
  static double scale(double effect) { return 0.2 + 0.5 * std::abs(effect); }
  double normal() { return normal_(random_); }

  /// Normal values given their mean.
  Numbers around(double mean, double deviation) {
    Numbers values(pairs);
    for (double& value : values) value = deviation * normal();
    const double off = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(pairs) - mean;
    for (double& value : values) value -= off;
    return values;
  }

  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  Numbers exact_, score_, shared_, own_, realised_exact_, realised_score_;
};

std::vector<std::int64_t> each_alone() {
  std::vector<std::int64_t> clusters(Population::pairs);
  std::iota(clusters.begin(), clusters.end(), 0);
  return clusters;
}

/// Of one statistic over many populations: how far off it is on average, and how often its interval holds the truth.
struct Record {
  double bias = 0;      //!< mean of estimate − value in the whole population, on these pairs
  double realised = 0;  //!< share of intervals that hold that value
  double fresh = 0;     //!< that hold the value of expected effects and scores: what new pairs tend to
};

class SimulatedPopulations : public ::testing::Test {
 protected:
  static constexpr int populations = 1000;
  static constexpr int with_intervals = 250;  // they take most of the time
  static constexpr int sampled = 300;

  /// Pearson and Spearman, "weighted": estimated for all nodes; "unweighted": of the sample as if it had been drawn
  /// from all of them.
  struct Records {
    std::array<Record, 2> weighted;
    std::array<double, 2> unweighted{};
  };

  static Records simulate() {
    Records records;
    BootstrapOptions options;
    for (int i = 0; i < populations; ++i) {
      Population population(static_cast<std::uint64_t>(i));
      const SampleDesign design{Population::shape, 0, sampled, static_cast<std::uint64_t>(i)};
      const std::vector<SampledNeuron> sample = sample_with_tops(design, population.scores());
      const auto [exact, score] = population.on_pairs(sample);
      options.seed = static_cast<std::uint64_t>(i);
      options.resamples = i < with_intervals ? 200 : 0;
      const std::vector<AgreementStatistic> found = sample_agreement(sample, exact, score, each_alone(), options);
      const std::array<double, 2> here{pearson(population.realised_exact(), population.realised_score()),
                                       spearman(population.realised_exact(), population.realised_score())};
      const std::array<double, 2> anywhere{pearson(population.exact(), population.score()),
                                           spearman(population.exact(), population.score())};
      for (std::size_t k = 0; k < 2; ++k) {
        const AgreementStatistic& estimate = found[2 * k];
        const auto holds = [&](double truth) {
          return estimate.interval.low <= truth && truth <= estimate.interval.high;
        };
        records.weighted[k].bias += (estimate.value - here[k]) / populations;
        records.weighted[k].realised += holds(here[k]) ? 1.0 / with_intervals : 0;
        records.weighted[k].fresh += holds(anywhere[k]) ? 1.0 / with_intervals : 0;
      }
      const auto mean = [](const Rows& rows) {  // times the number of pairs
        Numbers means(rows.front().size(), 0);
        for (const Numbers& row : rows) {
          for (std::size_t node = 0; node < row.size(); ++node) means[node] += row[node];
        }
        return means;
      };
      records.unweighted[0] += (pearson(mean(exact), mean(score)) - here[0]) / populations;
      records.unweighted[1] += (spearman(mean(exact), mean(score)) - here[1]) / populations;
    }
    return records;
  }
};

TEST_F(SimulatedPopulations, AreEstimatedWithoutBiasAndIntervalsHoldTheTruth) {
  const Records records = simulate();
  const std::array<const char*, 2> names{"pearson", "spearman"};
  for (std::size_t k = 0; k < 2; ++k) {
    const Record& found = records.weighted[k];
    EXPECT_LE(std::abs(found.bias), 0.01) << names[k];
    EXPECT_GE(found.realised, 0.90) << names[k];
    EXPECT_GE(found.fresh, 0.90) << names[k];
    EXPECT_GT(std::abs(records.unweighted[k]), 0.01) << names[k] << ": which is why nodes are weighted";
  }
}

TEST(SampleAgreement, OfASampleOfAllIsTheCorrelationItself) {
  const NodeShape shape{2, 1, 5, Positions::keep};
  const std::vector<float> scores{9, -8, 1, 0, 0.5F, 3, 2, -2, 4, 7};
  const std::vector<SampledNeuron> sample = sample_with_tops({shape, 0, 10, 0}, scores);
  const Numbers exact{8, -9, 1, 1, 0, 2, 3, -1, 4, 6};
  const Rows rows(3, exact);
  const Rows score(3, Numbers(scores.begin(), scores.end()));
  const std::vector<AgreementStatistic> found = sample_agreement(sample, rows, score, {0, 1, 2}, {});
  ASSERT_EQ(found.size(), 6U);
  const Numbers expected{pearson(exact, score[0]),  pearson_without_largest(exact, score[0]),
                         spearman(exact, score[0]), pearson(exact, score[0]),
                         spearman(exact, score[0]), overlap(exact, score[0], 1)};
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].value, expected[i], 1e-12) << found[i].name;
    EXPECT_NEAR(found[i].interval.high - found[i].interval.low, 0, 1e-12) << "nothing varies: all nodes, equal pairs";
  }
  EXPECT_EQ(found[5].name, "top-1 overlap in the sample");
}

TEST(SampleAgreement, ComparesTheRandomNodesAloneByThemselves) {
  // Two draws that agree, a top node that does not: it must not count among the random ones.
  std::vector<SampledNeuron> sample(3);
  sample[0] = {{0, 0, 0}, true, 0, false, 0.5};
  sample[1] = {{0, 0, 1}, false, 0, true, 0.5};
  sample[2] = {{0, 0, 2}, true, 0, true, 0.5};
  const std::vector<AgreementStatistic> found =
      sample_agreement(sample, {{-5, 1, 2}, {-5, 1, 2}}, {{9, 1, 2}, {9, 1, 2}}, {0, 1}, {});
  EXPECT_DOUBLE_EQ(found[3].value, 1);
  EXPECT_LT(found[0].value, 0);
}

/// A sample of one stratum: `tops` first ones, and random ones that stand for ten nodes each.
std::vector<SampledNeuron> sample_of(std::size_t tops, std::size_t random) {
  std::vector<SampledNeuron> sample(tops + random);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    sample[i] = {{0, 0, static_cast<std::int64_t>(i)}, i < tops, 0, i >= tops, 0.1};
  }
  return sample;
}

/// Values of three pairs that differ, each a multiple of the same row.
Rows three_pairs(const Numbers& row) {
  Rows rows;
  for (const double factor : {0.7, 1.1, 1.3}) {
    Numbers& one = rows.emplace_back(row);
    for (double& value : one) value *= factor;
  }
  return rows;
}

TEST(SampleAgreement, OfAModelWithoutEffectsIsUndefinedAndHasNoInterval) {
  const std::vector<SampledNeuron> sample = sample_of(10, 30);
  Numbers score;
  for (int i = 0; i < 40; ++i) score.push_back(0.3 * i - 1);
  for (const double effect : {0.0, 0.1}) {
    const Rows equal = three_pairs(Numbers(40, effect));  // on each pair
    for (const auto& [x, y] : {std::pair{equal, three_pairs(score)}, {three_pairs(score), equal}, {equal, equal}}) {
      for (const AgreementStatistic& found : sample_agreement(sample, x, y, {0, 1, 2}, {})) {
        EXPECT_TRUE(std::isnan(found.value)) << found.name << ' ' << found.value;
        EXPECT_TRUE(std::isnan(found.interval.low) && std::isnan(found.interval.high)) << found.name;
      }
    }
  }
}

TEST(SampleAgreement, HasNoIntervalWhereFewRandomNeuronsTellHowSureItIs) {
  // Three random ones, two of which do nothing: whatever is drawn of them lies on a line.
  for (const AgreementStatistic& found :
       sample_agreement(sample_of(0, 3), three_pairs({0, 0, 2}), three_pairs({0, 0, 3}), {0, 1, 2}, {})) {
    if (found.name == "pearson" || found.name == "pearson of the random nodes") {
      EXPECT_DOUBLE_EQ(found.value, 1);
    }
    if (found.name.find("pearson") == 0) {
      EXPECT_TRUE(std::isnan(found.interval.low)) << found.name;
    }
    if (found.name.find("spearman") == 0) {
      EXPECT_TRUE(std::isnan(found.interval.high)) << found.name;
    }
  }
  // Neither do first ones make up for them, nor many that do nothing; seven different ones are enough.
  for (const std::size_t different : {6U, 7U}) {
    Numbers exact, score;
    for (std::size_t i = 0; i < 60; ++i) {  // 20 first ones, and the others
      const bool acts = i < 20 + different - 1;
      exact.push_back(acts ? std::sin(static_cast<double>(i)) : 0);
      score.push_back(std::sin(static_cast<double>(i)) + 0.2 * std::cos(static_cast<double>(3 * i)));
    }
    for (const auto& [x, y] : {std::pair{exact, score}, std::pair{score, exact}}) {
      for (const AgreementStatistic& found :
           sample_agreement(sample_of(20, 40), three_pairs(x), three_pairs(y), {0, 1, 2}, {})) {
        EXPECT_FALSE(std::isnan(found.value)) << found.name;
        const bool over_nodes = found.name.find("overlap") == std::string::npos;
        EXPECT_EQ(std::isnan(found.interval.low), over_nodes && different < 7) << found.name << ' ' << different;
      }
    }
  }
}

}  // namespace
}  // namespace tributary
