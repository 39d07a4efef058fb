// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/fold.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <string>

#include "common/errors.h"
#include "runner/cluster/sparse_sum.h"

namespace tributary {
namespace {

std::int64_t nodes_at(int level, std::int64_t units) { return ((units - 1) >> level) + 1; }

}  // namespace

LaneFold::LaneFold(std::int64_t lane, std::int64_t units) : lane_(lane), units_(units) {
  TRIBUTARY_EXPECT(units > 0, "a lane needs units");
  root_level_ = root_level(units);
}

int LaneFold::root_level(std::int64_t units) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(units - 1)));
}

/// left + right, in this order; a missing child leaves the other alone.
LaneFold::Partial LaneFold::merge(Partial left, Partial right) {
  if (!right.present) return left;
  if (!left.present) return right;
  std::transform(left.sum.begin(), left.sum.end(), right.sum.begin(), left.sum.begin(), std::plus<>());
  left.sparse = added(std::move(left.sparse), std::move(right.sparse));
  return left;
}

std::pair<std::int64_t, std::int64_t> LaneFold::range(const TreeNode& node, std::int64_t units) {
  TRIBUTARY_EXPECT(node.level >= 0 && node.level <= root_level(units), "no such level in the lane's tree");
  TRIBUTARY_EXPECT(node.index >= 0 && node.index < nodes_at(node.level, units), "no such node in the lane's tree");
  return {node.index << node.level, std::min((node.index + 1) << node.level, units)};
}

void LaneFold::add(TreeNode node) {
  TRIBUTARY_EXPECT(node.lane == lane_, "a node of another lane");
  const auto [first, last] = range(node, units_);
  TRIBUTARY_EXPECT(!sum_size_ || *sum_size_ == node.sum.size(),
                   "lane " + std::to_string(lane_) + " has sums of " + std::to_string(*sum_size_) +
                       " numbers, this one has " + std::to_string(node.sum.size()));
  TRIBUTARY_EXPECT(is_sound(node.sparse), "lane " + std::to_string(lane_) + " is given a sparse sum that is none");
  const std::int64_t width = node.sparse.width;
  TRIBUTARY_EXPECT(width == 0 || sparse_width_ == 0 || width == sparse_width_,
                   "lane " + std::to_string(lane_) + " has " + std::to_string(sparse_width_) +
                       " numbers a key, this sparse sum has " + std::to_string(width));
  claim(first, last);
  sum_size_ = node.sum.size();
  if (width > 0) sparse_width_ = width;
  insert({node.level, node.index}, {true, std::move(node.sum), std::move(node.sparse)});
}

void LaneFold::skip(std::int64_t index) {
  TRIBUTARY_EXPECT(index >= 0 && index < units_, "no such unit in the lane");
  claim(index, index + 1);
  insert({0, index}, {});
}

bool LaneFold::has_any(std::int64_t first, std::int64_t last) const {
  const auto after = covered_.lower_bound(last);
  return after != covered_.begin() && std::prev(after)->second > first;
}

void LaneFold::claim(std::int64_t first, std::int64_t last) {
  TRIBUTARY_EXPECT(!has_any(first, last), "lane " + std::to_string(lane_) + " already has a unit of [" +
                                              std::to_string(first) + ", " + std::to_string(last) + ")");
  auto after = covered_.lower_bound(last);
  if (after != covered_.end() && after->first == last) {
    last = after->second;
    after = covered_.erase(after);
  }
  if (after != covered_.begin() && std::prev(after)->second == first) {
    std::prev(after)->second = last;
  } else {
    covered_.emplace_hint(after, first, last);
  }
}

void LaneFold::insert(Place place, Partial partial) {
  auto& [level, index] = place;
  for (; level < root_level_; ++level, index >>= 1) {
    const Place sibling{level, index ^ 1};
    if (sibling.second >= nodes_at(level, units_)) continue;
    const auto found = pending_.find(sibling);
    if (found == pending_.end()) break;
    Partial other = std::move(found->second);
    pending_.erase(found);
    partial =
        index % 2 == 0 ? merge(std::move(partial), std::move(other)) : merge(std::move(other), std::move(partial));
  }
  pending_.emplace(place, std::move(partial));
}

bool LaneFold::complete() const {
  return covered_.size() == 1 && covered_.begin()->first == 0 && covered_.begin()->second == units_;
}

std::vector<double> LaneFold::take() {
  TRIBUTARY_EXPECT(complete(), "lane " + std::to_string(lane_) + " still misses units");
  return std::move(pending_.begin()->second.sum);
}

SparseSum LaneFold::take_sparse() {
  TRIBUTARY_EXPECT(complete(), "lane " + std::to_string(lane_) + " still misses units");
  return std::move(pending_.begin()->second.sparse);
}

std::vector<TreeNode> LaneFold::take_partials() {
  std::vector<TreeNode> nodes;
  for (auto& [place, partial] : std::exchange(pending_, {})) {
    if (!partial.present) continue;
    nodes.push_back({lane_, place.first, place.second, std::move(partial.sum), std::move(partial.sparse)});
  }
  return nodes;
}

}  // namespace tributary
