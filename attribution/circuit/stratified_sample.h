// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which neurons to patch exactly, when there are too many to patch all: some drawn at random, the same ones for every
// score, and the first ones of the score that is judged; each with the probability of its being there, so that the
// sample can speak for all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attribution/nodes/node.h"

namespace tributary {

/// Nodes of one kind in a model [layer, position, node]; positions 1 with Positions::sum.
struct NodeShape {
  std::int64_t layers = 0, positions = 0, in_row = 0;  //!< in_row: nodes at one position of a layer
  Positions kept = Positions::keep;
  NodeKind kind = NodeKind::neurons;
  /// The nodes of a list, which have no such shape: each is a layer of one node.
  std::shared_ptr<const std::vector<Node>> list{};

  [[nodiscard]] std::int64_t nodes() const { return layers * positions * in_row; }
  /// What lies at a place of [layer, pos, node]; position -1 where positions are summed.
  [[nodiscard]] Node node(std::int64_t place) const {
    if (list) return (*list)[static_cast<std::size_t>(place)];
    const std::int64_t row = place / in_row;
    return {row / positions, kept == Positions::sum ? -1 : row % positions, place % in_row, kind};
  }
};

/// Half of `count` nodes are drawn, half are a score's first ones; all are drawn where there are no more than `count`.
struct SampleDesign {
  NodeShape shape;
  std::int64_t first_position = 0;  //!< the population are the nodes from this position on
  std::int64_t count = 0;
  std::uint64_t seed = 0;

  [[nodiscard]] std::int64_t population_of_layer() const { return (shape.positions - first_position) * shape.in_row; }
  [[nodiscard]] std::int64_t population() const { return shape.layers * population_of_layer(); }
  [[nodiscard]] std::int64_t tops() const { return count / 2; }
  [[nodiscard]] std::int64_t draws() const { return count < population() ? count - count / 2 : population(); }
};

struct SampledNeuron {
  Node neuron;
  bool top = false;          //!< one of the score's first ones
  std::int64_t stratum = 0;  //!< random stratum that it lies in
  bool drawn = false;        //!< from that stratum
  double share = 0;          //!< of that stratum that was drawn

  /// How probable it was that the sample has it.
  [[nodiscard]] double inclusion() const { return top ? 1 : share; }
  /// "top", "random" or "top and random".
  [[nodiscard]] std::string origin() const { return !drawn ? "top" : top ? "top and random" : "random"; }
};

/// The draw alone, in ascending order: a function of the design, whatever is judged. Strata are neighbouring layers, at
/// least four draws to each where there are so many, in proportion to their nodes.
std::vector<SampledNeuron> random_stratum(const SampleDesign& design);

/// The draw and the first ones of the population by |score| (equal ones by node; never those that score 0), in
/// ascending order; a node that is in both is there once. scores [layer, position, neuron].
std::vector<SampledNeuron> sample_with_tops(const SampleDesign& design, const std::vector<float>& scores);

}  // namespace tributary
