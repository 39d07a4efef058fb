// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a run's circuits choose among, and the rank of the one on which all of them hang where positions are
// summed: the embeddings, without which nothing of the prompt reaches what a circuit keeps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/report/detail/stored_nodes.h"

namespace tributary::detail {

struct CircuitNodes {
  std::int64_t nodes = 0;
  std::vector<std::string> kinds;
  /// Rank from 1, in the ranking of the circuits and in the other one (by |score|, by score), of embeddings that are
  /// one node among others; missing: they are not, or have no score.
  std::optional<std::int64_t> embeddings, embeddings_otherwise;
};

/// Nothing where no circuit was evaluated.
std::optional<CircuitNodes> circuit_nodes(const ResultsFile& results, const StoredNodes& stored);

}  // namespace tributary::detail
