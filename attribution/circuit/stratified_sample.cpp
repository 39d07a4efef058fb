// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/stratified_sample.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {
namespace {

using Sample = std::map<std::int64_t, std::string>;  // node → stratum

/// Adds `count` nodes that are new, from the rankings in turn, as far as they reach.
void take_in_turn(const std::vector<std::vector<std::int64_t>>& rankings, std::int64_t count,
                  const std::string& stratum, Sample& sample) {
  std::vector<std::size_t> next(rankings.size(), 0);
  for (bool any = true; count > 0 && any;) {
    any = false;
    for (std::size_t r = 0; r < rankings.size() && count > 0; ++r) {
      while (next[r] < rankings[r].size() && sample.count(rankings[r][next[r]]) != 0) ++next[r];
      if (next[r] == rankings[r].size()) continue;
      sample.emplace(rankings[r][next[r]], stratum);
      any = true;
      --count;
    }
  }
}

/// Layer l's share when `count` is spread evenly.
std::int64_t share_of(std::int64_t count, std::int64_t l, std::int64_t layers) {
  return (l + 1) * count / layers - l * count / layers;
}

/// `count` of these nodes that are new, drawn by seed.
void draw(std::vector<std::int64_t> nodes, std::int64_t count, std::uint64_t seed, Sample& sample) {
  std::erase_if(nodes, [&sample](std::int64_t node) { return sample.count(node) != 0; });
  shuffle(nodes, seed);
  nodes.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, std::ssize(nodes))));
  for (const std::int64_t node : nodes) sample.emplace(node, "random");
}

/// Nodes that some ranking holds, ascending.
std::vector<std::int64_t> ranked_nodes(const std::vector<std::vector<std::int64_t>>& rankings, std::int64_t nodes) {
  std::vector<char> held(static_cast<std::size_t>(nodes), 0);
  for (const std::vector<std::int64_t>& ranking : rankings) {
    for (const std::int64_t node : ranking) held[static_cast<std::size_t>(node)] = 1;
  }
  std::vector<std::int64_t> all;
  for (std::int64_t node = 0; node < nodes; ++node) {
    if (held[static_cast<std::size_t>(node)] != 0) all.push_back(node);
  }
  return all;
}

}  // namespace

std::vector<SampledNeuron> stratified_sample(const NodeShape& shape,
                                             const std::vector<std::vector<std::int64_t>>& rankings, std::int64_t count,
                                             std::uint64_t seed) {
  TRIBUTARY_EXPECT(count <= shape.nodes(), "the sample's size is checked when the job is prepared");
  const std::int64_t third = count / 3;
  const std::int64_t in_layer = shape.positions * shape.neurons;
  Sample sample;
  take_in_turn(rankings, third, "first", sample);
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    std::vector<std::vector<std::int64_t>> here;
    for (const std::vector<std::int64_t>& ranking : rankings) {
      here.emplace_back();
      std::copy_if(ranking.begin(), ranking.end(), std::back_inserter(here.back()),
                   [&](std::int64_t node) { return node / in_layer == layer; });
    }
    take_in_turn(here, share_of(third, layer, shape.layers), "first in layer", sample);
  }
  const std::vector<std::int64_t> scored = ranked_nodes(rankings, shape.nodes());
  const std::int64_t left = count - std::ssize(sample);
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    const auto first = std::lower_bound(scored.begin(), scored.end(), layer * in_layer);
    const auto end = std::lower_bound(first, scored.end(), (layer + 1) * in_layer);
    draw({first, end}, share_of(left, layer, shape.layers), mixed(seed) + static_cast<std::uint64_t>(layer), sample);
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(shape.nodes()));
  std::iota(all.begin(), all.end(), 0);
  const std::uint64_t last = mixed(seed) + static_cast<std::uint64_t>(shape.layers);
  draw(scored, count - std::ssize(sample), last, sample);
  draw(std::move(all), count - std::ssize(sample), last + 1, sample);
  std::vector<SampledNeuron> neurons;
  for (const auto& [node, stratum] : sample) {
    neurons.push_back({shape.neuron(node), stratum});
  }
  return neurons;
}

}  // namespace tributary
