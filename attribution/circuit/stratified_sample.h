// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which neurons to patch exactly, when there are too many to patch all: some that matter, wherever they are, and some
// that do not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attribution/nodes/neuron.h"

namespace tributary {

/// Nodes of a model [layer, position, neuron]; positions 1 with Positions::sum.
struct NodeShape {
  std::int64_t layers = 0, positions = 0, neurons = 0;
  Positions kept = Positions::keep;

  [[nodiscard]] std::int64_t nodes() const { return layers * positions * neurons; }
  /// Where a node, its place in [layer, pos, neuron], is; position -1 where positions are summed.
  [[nodiscard]] Neuron neuron(std::int64_t node) const {
    const std::int64_t row = node / neurons;
    return {row / positions, kept == Positions::sum ? -1 : row % positions, node % neurons};
  }
};

struct SampledNeuron {
  Neuron neuron;
  std::string stratum;  //!< "first", "first in layer" or "random"
};

/// `count` distinct neurons in ascending order, a third each: the first ones of the rankings, taken in turn; the first
/// ones in each layer, likewise, equally many a layer; and a seeded draw from the rest, equally many a layer (where a
/// layer has too few, from all). rankings: nodes in flattened order of place, best first (ranked()). ContractViolation
/// when there are fewer nodes.
std::vector<SampledNeuron> stratified_sample(const NodeShape& shape,
                                             const std::vector<std::vector<std::int64_t>>& rankings, std::int64_t count,
                                             std::uint64_t seed);

}  // namespace tributary
