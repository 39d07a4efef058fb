// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/fold_sink.h"

#include <algorithm>
#include <utility>

#include "common/errors.h"

namespace tributary {

FoldSink::FoldSink(const UnitTable& table) : table_(table), rows_(static_cast<std::size_t>(table.size())) {
  for (std::int64_t lane = 0; lane < table.lanes(); ++lane) folds_.emplace_back(lane, table.lane_size(lane));
}

void FoldSink::require_lane(const TreeNode& node) const {
  TRIBUTARY_EXPECT(node.lane >= 0 && node.lane < table_.lanes(), "a block of another stage");
}

Amount FoldSink::amount_in(const BlockResult& block) const {
  Amount amount;
  for (const TreeNode& node : block.nodes) {
    require_lane(node);
    const auto [first, last] = LaneFold::range(node, table_.lane_size(node.lane));
    amount.units += last - first;
    for (std::int64_t index = first; index < last; ++index) {
      amount.cost += table_.spec(table_.unit_at(node.lane, index)).cost;
    }
  }
  return amount;
}

bool FoldSink::has_any_of(const BlockResult& block) const {
  return std::any_of(block.nodes.begin(), block.nodes.end(), [this](const TreeNode& node) {
    require_lane(node);
    const auto [first, last] = LaneFold::range(node, table_.lane_size(node.lane));
    return folds_[static_cast<std::size_t>(node.lane)].has_any(first, last);
  });
}

void FoldSink::add(BlockResult block) {
  for (TreeNode& node : block.nodes) {
    require_lane(node);
    LaneFold& fold = folds_[static_cast<std::size_t>(node.lane)];
    fold.add(std::move(node));
  }
  for (UnitRows& rows : block.rows) rows_.at(static_cast<std::size_t>(rows.unit)) = std::move(rows.values);
}

void FoldSink::skip(std::int64_t unit) {
  const UnitSpec& spec = table_.spec(unit);
  folds_[static_cast<std::size_t>(spec.lane)].skip(spec.index);
}

std::vector<std::vector<double>> FoldSink::take_sums() {
  std::vector<std::vector<double>> sums;
  for (LaneFold& fold : folds_) sums.push_back(fold.complete() ? fold.take() : std::vector<double>{});
  return sums;
}

std::vector<SparseSum> FoldSink::take_sparse() {
  std::vector<SparseSum> sums;
  for (LaneFold& fold : folds_) sums.push_back(fold.complete() ? fold.take_sparse() : SparseSum{});
  return sums;
}

std::vector<std::vector<double>> FoldSink::take_rows() { return std::move(rows_); }

}  // namespace tributary
