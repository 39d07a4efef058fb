// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How a pass is cut into units, by the configuration and the pairs, never by ranks or threads. The cut changes no bit:
// pairs are summed in one binary tree of which every unit is a node.
#pragma once

#include <cstdint>
#include <vector>

#include "runner/cluster/units.h"
#include "runner/job/job.h"

namespace tributary {

/// Some pairs of one length, and a range of layers.
struct Chunk {
  std::vector<std::int64_t> members;  //!< indices into the list of pairs
  LayerRange layers;
};

/// Runs that share model, pairs and metric: computed together, so that they share passes through the network.
using RunGroup = std::vector<const Job*>;

/// A stage's chunks with the units that stand for them: unit u computes chunks[u].
struct StagePlan {
  std::vector<Chunk> chunks;
  std::vector<UnitSpec> units;
  /// By lane: units that are computed at once where a worker gets as many, a power of two; empty: 1. Of such a lane all
  /// chunks have the same length and layers.
  std::vector<std::int64_t> at_once{};

  /// The most pairs of a chunk, or of several that are computed at once where so many workers share the stage.
  [[nodiscard]] std::int64_t most_pairs(std::int64_t workers) const;
};

/// Attribution: one lane for each layer range and token length, ordered by range, then by length; its units are chunks
/// of training pairs.
StagePlan plan_attribution(const RunGroup& runs);
/// Means over the prompts of a list of pairs, or what the model says on them: a lane a token length.
StagePlan plan_lengths(const Job& job, const std::vector<TokenPair>& pairs);
/// Circuit curve over the held-out pairs; one lane with nothing to fold.
StagePlan plan_curve(const Job& job);
/// Exact patching of neurons in ascending order, on the training pairs: a lane with nothing to fold.
StagePlan plan_exact(const Job& job, const std::vector<Node>& neurons);
/// Pilot: seeded training pairs, two in a unit.
StagePlan plan_pilot(const Job& job);

/// `count` seeded members of 0 … n−1, ascending (all of them when there are fewer).
std::vector<std::int64_t> seeded_members(std::int64_t n, std::int64_t count, std::uint64_t seed);

}  // namespace tributary
