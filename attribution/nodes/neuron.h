// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Nodes that can be scored and patched: MLP neurons, each at one position of the prompt or at all of them at once.
// Knows no tensors.
#pragma once

#include <cstdint>
#include <vector>

namespace tributary {

/// Whether a node is a neuron at one position, or a neuron with its scores summed over all positions.
enum class Positions { keep, sum };

/// With positions summed, `position` is -1: the neuron is meant at all of them.
struct Neuron {
  std::int64_t layer = 0, position = 0, index = 0;
};

/// `count` distinct neurons [layers, positions, neurons], seeded, spread evenly over the layers, in ascending order.
/// positions 1 with Positions::sum. ContractViolation when there are fewer.
std::vector<Neuron> sample_neurons(std::int64_t layers, std::int64_t positions, std::int64_t neurons,
                                   std::int64_t count, std::uint64_t seed, Positions kept);

}  // namespace tributary
