// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/stratified_sample.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {
namespace {

constexpr std::int64_t draws_of_a_stratum = 4;  // at least: the spread inside a stratum is read off its draws

/// The layers of one random stratum, and how many of their nodes are drawn.
struct Stratum {
  std::int64_t first = 0, end = 0, draws = 0;
  double share = 0;  // of its nodes that are drawn
};

std::vector<Stratum> strata_of(const SampleDesign& design) {
  const std::int64_t layers = design.shape.layers;
  const std::int64_t draws = design.draws();
  const std::int64_t count = std::clamp<std::int64_t>(draws / draws_of_a_stratum, 1, layers);
  std::vector<Stratum> strata;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = i * layers / count;
    const std::int64_t end = (i + 1) * layers / count;
    const std::int64_t of_these = end * draws / layers - first * draws / layers;
    const std::int64_t nodes = (end - first) * design.population_of_layer();
    strata.push_back({first, end, of_these, static_cast<double>(of_these) / static_cast<double>(nodes)});
  }
  return strata;
}

/// `count` distinct numbers below `bound` (Floyd's algorithm, Bentley & Floyd 1987): without a list of all of them.
std::set<std::int64_t> distinct_below(std::int64_t bound, std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 random(mixed(seed));
  std::set<std::int64_t> chosen;
  for (std::int64_t last = bound - count; last < bound; ++last) {
    const auto drawn = static_cast<std::int64_t>(draw_below(random, static_cast<std::uint64_t>(last) + 1));
    chosen.insert(chosen.count(drawn) == 0 ? drawn : last);
  }
  return chosen;
}

using Sample = std::map<std::int64_t, SampledNeuron>;  // by node

Sample drawn_of(const SampleDesign& design, const std::vector<Stratum>& strata) {
  const NodeShape& shape = design.shape;
  const std::int64_t in_layer = design.population_of_layer();
  Sample sample;
  for (std::size_t s = 0; s < strata.size(); ++s) {
    const std::int64_t nodes = (strata[s].end - strata[s].first) * in_layer;
    for (const std::int64_t i : distinct_below(nodes, strata[s].draws, mixed(design.seed) + s)) {
      const std::int64_t layer = strata[s].first + i / in_layer;
      const std::int64_t node = (layer * shape.positions + design.first_position) * shape.in_row + i % in_layer;
      sample[node] = {shape.node(node), false, static_cast<std::int64_t>(s), true, strata[s].share};
    }
  }
  return sample;
}

std::vector<SampledNeuron> listed(const Sample& sample) {
  std::vector<SampledNeuron> neurons;
  for (const auto& [node, one] : sample) neurons.push_back(one);
  return neurons;
}

/// The population's first nodes by |score|.
std::vector<std::int64_t> first_ones(const SampleDesign& design, const std::vector<float>& scores) {
  const NodeShape& shape = design.shape;
  std::vector<std::int64_t> nodes;
  for (std::int64_t node = 0; node < shape.nodes(); ++node) {
    const float score = scores[static_cast<std::size_t>(node)];
    if (node / shape.in_row % shape.positions < design.first_position) continue;
    if (score != 0 && !std::isnan(score)) nodes.push_back(node);
  }
  const auto end = nodes.begin() + std::min(design.tops(), static_cast<std::int64_t>(nodes.size()));
  std::partial_sort(nodes.begin(), end, nodes.end(), [&](std::int64_t a, std::int64_t b) {
    const float of_a = std::abs(scores[static_cast<std::size_t>(a)]);
    const float of_b = std::abs(scores[static_cast<std::size_t>(b)]);
    return of_a != of_b ? of_a > of_b : a < b;
  });
  nodes.erase(end, nodes.end());
  return nodes;
}

}  // namespace

std::vector<SampledNeuron> random_stratum(const SampleDesign& design) {
  return listed(drawn_of(design, strata_of(design)));
}

std::vector<SampledNeuron> sample_with_tops(const SampleDesign& design, const std::vector<float>& scores) {
  TRIBUTARY_EXPECT(std::ssize(scores) == design.shape.nodes(), "a score of every node");
  const std::vector<Stratum> strata = strata_of(design);
  Sample sample = drawn_of(design, strata);
  for (const std::int64_t node : first_ones(design, scores)) {
    SampledNeuron& one = sample[node];
    one.top = true;
    one.neuron = design.shape.node(node);
  }
  for (auto& [node, one] : sample) {
    const std::int64_t layer = node / (design.shape.positions * design.shape.in_row);
    const auto stratum =
        std::find_if(strata.begin(), strata.end(), [layer](const Stratum& s) { return layer < s.end; });
    one.stratum = stratum - strata.begin();
    one.share = stratum->share;
  }
  return listed(sample);
}

}  // namespace tributary
