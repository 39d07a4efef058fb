// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/stratified_sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

namespace tributary {
namespace {

const NodeShape shape{4, 3, 10, Positions::keep};  // 120 nodes
const SampleDesign design{shape, 0, 36, 5};

using Place = std::tuple<std::int64_t, std::int64_t, std::int64_t>;

Place place_of(const Node& neuron) { return {neuron.layer, neuron.position, neuron.index}; }

std::vector<SampledNeuron> those(const std::vector<SampledNeuron>& sample, bool SampledNeuron::*which) {
  std::vector<SampledNeuron> some;
  std::copy_if(sample.begin(), sample.end(), std::back_inserter(some), [which](const auto& one) { return one.*which; });
  return some;
}

std::set<Place> places(const std::vector<SampledNeuron>& sample) {
  std::set<Place> all;
  for (const SampledNeuron& one : sample) all.insert(place_of(one.neuron));
  return all;
}

/// Scores that fall from the first node on, with signs in turn.
std::vector<float> falling(std::int64_t nodes = shape.nodes()) {
  std::vector<float> scores;
  for (std::int64_t i = 0; i < nodes; ++i) scores.push_back(static_cast<float>((i % 2 == 0 ? 1 : -1) * (nodes - i)));
  return scores;
}

TEST(StratifiedSample, IsHalfDrawnAndHalfTheScoresFirstOnes) {
  const std::vector<SampledNeuron> sample = sample_with_tops(design, falling());
  EXPECT_EQ(places(sample).size(), sample.size()) << "distinct";
  const std::vector<SampledNeuron> tops = those(sample, &SampledNeuron::top);
  ASSERT_EQ(tops.size(), 18U);
  for (const SampledNeuron& one : tops) EXPECT_LT(place_of(one.neuron), Place(0, 1, 8)) << "the first 18 nodes";
  EXPECT_EQ(those(sample, &SampledNeuron::drawn).size(), 18U);
  EXPECT_TRUE(std::is_sorted(sample.begin(), sample.end(),
                             [](const auto& a, const auto& b) { return place_of(a.neuron) < place_of(b.neuron); }));
}

TEST(StratifiedSample, DrawsTheSameNodesWhateverIsJudged) {
  std::vector<float> rising = falling();
  std::reverse(rising.begin(), rising.end());
  const std::set<Place> drawn = places(random_stratum(design));
  EXPECT_EQ(drawn.size(), 18U);
  for (const std::vector<float>& scores : {falling(), rising}) {
    EXPECT_EQ(places(those(sample_with_tops(design, scores), &SampledNeuron::drawn)), drawn);
  }
  SampleDesign other = design;
  other.seed = 6;
  EXPECT_NE(places(random_stratum(other)), drawn);
}

TEST(StratifiedSample, SaysHowProbableEachNodeWas) {
  // Four strata of a layer each, 30 nodes: 18 draws are 4, 5, 4 and 5 of them.
  for (const SampledNeuron& one : sample_with_tops(design, falling())) {
    EXPECT_EQ(one.stratum, one.neuron.layer);
    const double share = one.neuron.layer % 2 == 0 ? 4.0 / 30 : 5.0 / 30;
    EXPECT_DOUBLE_EQ(one.inclusion(), one.top ? 1 : share);
    EXPECT_EQ(one.origin(), !one.drawn ? "top" : one.top ? "top and random" : "random");
  }
}

TEST(StratifiedSample, DrawsEachNodeAsOftenAsItSays) {
  constexpr int seeds = 4000;
  std::vector<int> count(static_cast<std::size_t>(shape.nodes()), 0);
  std::vector<double> share(count.size(), 0);
  SampleDesign seeded = design;
  for (int seed = 0; seed < seeds; ++seed) {
    seeded.seed = static_cast<std::uint64_t>(seed);
    for (const SampledNeuron& one : random_stratum(seeded)) {
      const Node& neuron = one.neuron;
      const auto node = static_cast<std::size_t>((neuron.layer * 3 + neuron.position) * 10 + neuron.index);
      ++count[node];
      share[node] = one.share;
    }
  }
  for (std::size_t node = 0; node < count.size(); ++node) {
    const double expected = share[node] * seeds;
    EXPECT_NEAR(count[node], expected, 4.5 * std::sqrt(expected)) << node;  // 120 nodes, 4.5 standard deviations
  }
}

TEST(StratifiedSample, JoinsLayersWhereThereAreFewDraws) {
  const SampleDesign few{{30, 5, 100, Positions::keep}, 0, 30, 1};  // 15 draws: three strata of ten layers
  std::vector<int> draws(3, 0);
  for (const SampledNeuron& one : random_stratum(few)) {
    ASSERT_EQ(one.stratum, one.neuron.layer / 10);
    ++draws[static_cast<std::size_t>(one.stratum)];
    EXPECT_DOUBLE_EQ(one.share, 5.0 / 5000);
  }
  EXPECT_EQ(draws, (std::vector<int>{5, 5, 5}));
}

TEST(StratifiedSample, KeepsToThePopulation) {
  const SampleDesign later{shape, 2, 20, 3};  // 40 nodes, at the last position
  const std::vector<SampledNeuron> sample = sample_with_tops(later, falling());
  for (const SampledNeuron& one : sample) EXPECT_EQ(one.neuron.position, 2);
  EXPECT_EQ(place_of(those(sample, &SampledNeuron::top).front().neuron), Place(0, 2, 0));
}

TEST(StratifiedSample, IsEverythingWhereThereIsNoMore) {
  const SampleDesign all{shape, 1, 80, 3};
  const std::vector<SampledNeuron> sample = sample_with_tops(all, falling());
  EXPECT_EQ(sample.size(), 80U);
  for (const SampledNeuron& one : sample) EXPECT_EQ(one.inclusion(), 1);
}

TEST(StratifiedSample, TakesNoNodeWithoutAScoreForAFirstOne) {
  std::vector<float> scores(120, 0);
  scores[7] = -1;
  scores[9] = std::nanf("");
  const std::vector<SampledNeuron> tops = those(sample_with_tops(design, scores), &SampledNeuron::top);
  ASSERT_EQ(tops.size(), 1U);
  EXPECT_EQ(place_of(tops.front().neuron), Place(0, 0, 7));
}

TEST(StratifiedSample, OfSummedNodesHasNoPosition) {
  for (const SampledNeuron& one : sample_with_tops({{4, 1, 10, Positions::sum}, 0, 6, 1}, falling(40))) {
    EXPECT_EQ(one.neuron.position, -1);
  }
}

/// Features: how many there are in a layer is not the same everywhere.
TEST(StratifiedSample, OfAListIsSpreadOverIt) {
  std::vector<Node> entries;
  for (std::int64_t i = 0; i < 40; ++i) entries.push_back({i < 30 ? 0 : 2, i % 3, i, NodeKind::features});
  std::sort(entries.begin(), entries.end());
  const auto list = std::make_shared<const std::vector<Node>>(entries);
  const SampleDesign listed{{40, 1, 1, Positions::keep, NodeKind::features, list}, 0, 16, 3};
  EXPECT_EQ(listed.population(), 40);
  const std::vector<SampledNeuron> sample = sample_with_tops(listed, falling(40));
  std::vector<int> draws(2, 0);
  for (const SampledNeuron& one : sample) {
    const auto place = std::find(entries.begin(), entries.end(), one.neuron) - entries.begin();
    ASSERT_LT(place, 40);
    EXPECT_EQ(one.top, place < 8);
    EXPECT_EQ(one.stratum, place / 20);
    EXPECT_DOUBLE_EQ(one.share, 4.0 / 20);
    if (one.drawn) ++draws[static_cast<std::size_t>(one.stratum)];
  }
  EXPECT_EQ(draws, (std::vector<int>{4, 4}));
}

}  // namespace
}  // namespace tributary
