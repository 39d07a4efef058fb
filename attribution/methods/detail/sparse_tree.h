// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The same tree over the pairs of a unit as PairTree's, of scores that few nodes have. A key that one child lacks keeps
// the other's numbers.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "attribution/methods/attribute.h"

namespace tributary::detail {

class SparseTree {
 public:
  /// The next pairs'. The calling thread's team adds them up.
  void add(std::vector<SparseScores> pairs);
  /// The sum of all, which the tree then has no more; without keys where there were none.
  [[nodiscard]] SparseScores take_sum();

 private:
  std::vector<std::optional<SparseScores>> nodes_;  // by level; nothing: none waiting for its sibling
};

}  // namespace tributary::detail
