// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which neurons a circuit keeps: an exact ranking of all nodes, and how many of them each selection takes.
#pragma once

#include <cstdint>
#include <vector>

namespace tributary {

enum class Ranking { absolute, signed_score };

/// Nodes in ranking order: indices into scores [layer, position, neuron], flattened. Largest |score| (or score) first;
/// exact ties by (layer, position, neuron), so that a circuit of k nodes has k nodes. NaN scores (neurons that were not
/// scored) come last.
std::vector<std::int64_t> ranked(const std::vector<float>& scores, Ranking ranking);

/// The inverse: the place of every node, 0 = first. A circuit of k nodes holds those with place < k.
std::vector<std::int32_t> places(const std::vector<std::int64_t>& order);

/// How many nodes have a score. The order of the others, which have NaN, is made up: no circuit may end among them.
std::int64_t count_of_scored(const std::vector<float>& scores);
/// floor(fraction × nodes)
std::int64_t count_of_fraction(double fraction, std::int64_t nodes);
/// How many nodes have |score| (or score) >= threshold.
std::int64_t count_of_threshold(const std::vector<float>& scores, double threshold, Ranking ranking);
/// The fewest nodes, in ranking order, whose |score|s sum to at least `share` of all |score|s.
std::int64_t count_of_mass(const std::vector<float>& scores, double share, Ranking ranking);

}  // namespace tributary
