// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/stratified_sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace tributary {
namespace {

constexpr NodeShape shape{4, 3, 10, Positions::keep};  // 120 nodes

std::vector<std::int64_t> all_nodes() {
  std::vector<std::int64_t> nodes(120);
  std::iota(nodes.begin(), nodes.end(), 0);
  return nodes;
}

std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> places(const std::vector<SampledNeuron>& sample) {
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> all;
  for (const SampledNeuron& one : sample) all.insert({one.neuron.layer, one.neuron.position, one.neuron.index});
  return all;
}

TEST(StratifiedSample, TakesTheFirstOnesOfEveryRankingAndAllLayers) {
  std::vector<std::int64_t> falling = all_nodes();
  std::reverse(falling.begin(), falling.end());
  const std::vector<SampledNeuron> sample = stratified_sample(shape, {all_nodes(), falling}, 36, 5);
  ASSERT_EQ(sample.size(), 36U);
  EXPECT_EQ(places(sample).size(), 36U) << "distinct";
  std::map<std::string, int> strata;
  std::map<std::int64_t, int> by_layer;
  for (const SampledNeuron& one : sample) {
    ++strata[one.stratum];
    ++by_layer[one.neuron.layer];
  }
  EXPECT_EQ(strata["first"], 12);
  EXPECT_EQ(strata["first in layer"], 12);
  EXPECT_EQ(strata["random"], 12);
  EXPECT_GE(by_layer[1], 6) << "three of the layer's first, three at random";
  EXPECT_GE(by_layer[2], 6);
  for (int index = 0; index < 6; ++index) {
    EXPECT_TRUE(places(sample).count({0, 0, index})) << "the first ranking's first";
    EXPECT_TRUE(places(sample).count({3, 2, 9 - index})) << "the second one's";
  }
}

TEST(StratifiedSample, IsSeededInItsRandomPartAlone) {
  const auto one = stratified_sample(shape, {all_nodes()}, 36, 5);
  EXPECT_EQ(places(one), places(stratified_sample(shape, {all_nodes()}, 36, 5)));
  EXPECT_NE(places(one), places(stratified_sample(shape, {all_nodes()}, 36, 6)));
}

TEST(StratifiedSample, LeavesNodesWithoutAScoreToTheLast) {
  std::vector<std::int64_t> some(40);
  std::iota(some.begin(), some.end(), 60);  // layer 2 and a part of layer 3
  for (const SampledNeuron& one : stratified_sample(shape, {some}, 30, 1)) EXPECT_GE(one.neuron.layer, 2);
  EXPECT_EQ(stratified_sample(shape, {some}, 120, 1).size(), 120U) << "all there are";
  EXPECT_EQ(stratified_sample(shape, {{}}, 9, 1).size(), 9U);
}

TEST(StratifiedSample, OfSummedNodesHasNoPosition) {
  for (const SampledNeuron& one : stratified_sample({4, 1, 10, Positions::sum}, {{3, 17}}, 6, 1)) {
    EXPECT_EQ(one.neuron.position, -1);
  }
}

}  // namespace
}  // namespace tributary
