// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where the blocks of a stage end up: their sums are folded lane by lane, their rows lie by unit. Knows neither who
// computed a block nor who stored it.
#pragma once

#include <cstdint>
#include <vector>

#include "runner/cluster/fold.h"
#include "runner/cluster/units.h"

namespace tributary {

class FoldSink {
 public:
  /// The table must outlive the sink.
  explicit FoldSink(const UnitTable& table);

  // The next three throw ContractViolation when the block belongs to another stage.

  /// What a block has computed.
  [[nodiscard]] Amount amount_in(const BlockResult& block) const;
  /// Whether any unit that the block has computed is here already.
  [[nodiscard]] bool has_any_of(const BlockResult& block) const;
  /// Takes what a block has computed.
  void add(BlockResult block);

  /// Declares a unit missing for good: its lane goes on without it.
  void skip(std::int64_t unit);

  /// Sums by lane, moved out; empty for a lane that is not complete.
  [[nodiscard]] std::vector<std::vector<double>> take_sums();
  /// Sparse sums by lane, moved out; empty for a lane that is not complete.
  [[nodiscard]] std::vector<SparseSum> take_sparse();
  /// Rows by unit, moved out; empty for units that are not here.
  [[nodiscard]] std::vector<std::vector<double>> take_rows();

 private:
  void require_lane(const TreeNode& node) const;

  const UnitTable& table_;
  std::vector<LaneFold> folds_;
  std::vector<std::vector<double>> rows_;
};

}  // namespace tributary
