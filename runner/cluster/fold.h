// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The fixed binary tree that sums a lane in float64. The tree depends on the number of units of the
// lane and on nothing else, so the bits of the sum never depend on who computed which unit or when.
//   node(level, i) = node(level − 1, 2i) + node(level − 1, 2i + 1), a missing child leaves the other alone.
// Sparse sums are added beside it in the same tree, key by key: a missing key leaves the other's numbers alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runner/cluster/units.h"

namespace tributary {

/// Folds one lane from nodes arriving in any order; siblings merge as soon as both are there, so nodes
/// arriving in order leave O(log units) partial sums in memory.
class LaneFold {
 public:
  LaneFold(std::int64_t lane, std::int64_t units);

  /// Takes a node. Throws ContractViolation, leaving the fold as it was, when it is no node of this
  /// tree, covers a unit that is already there, its sum has another size than the others, or its sparse sum is none or
  /// of another width.
  void add(TreeNode node);

  /// Declares a unit missing for good: the tree goes on as if it were not there.
  void skip(std::int64_t index);

  /// Whether any unit of [first, last) has been added or skipped.
  [[nodiscard]] bool has_any(std::int64_t first, std::int64_t last) const;

  /// True when every unit of the lane has been added or skipped.
  [[nodiscard]] bool complete() const;

  /// The sum of the lane, moved out; empty when every unit was skipped. Needs complete().
  [[nodiscard]] std::vector<double> take();
  /// The same of the sparse sum.
  [[nodiscard]] SparseSum take_sparse();

  /// The partial sums held now, moved out, each merged as far up as the tree allows.
  [[nodiscard]] std::vector<TreeNode> take_partials();

  [[nodiscard]] std::size_t partials() const { return pending_.size(); }

  /// The unit indices [first, last) that a node covers in a lane of `units` units. Throws ContractViolation
  /// when the lane's tree has no such node.
  static std::pair<std::int64_t, std::int64_t> range(const TreeNode& node, std::int64_t units);

  /// The level of the one node that is the whole of a lane of `units` units.
  static int root_level(std::int64_t units);

 private:
  using Place = std::pair<int, std::int64_t>;  // level, index
  struct Partial {
    bool present = false;  // false: every unit below was skipped
    std::vector<double> sum;
    SparseSum sparse;
  };

  void claim(std::int64_t first, std::int64_t last);
  void insert(Place place, Partial partial);
  static Partial merge(Partial left, Partial right);

  std::int64_t lane_;
  std::int64_t units_;
  int root_level_;
  std::map<Place, Partial> pending_;
  std::map<std::int64_t, std::int64_t> covered_;  // runs of units already there, first → last; no two touch
  std::optional<std::size_t> sum_size_;
  std::int64_t sparse_width_ = 0;  // 0: no node had keys
};

}  // namespace tributary
