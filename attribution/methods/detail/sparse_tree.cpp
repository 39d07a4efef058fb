// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/sparse_tree.h"

#include <utility>

namespace tributary::detail {
namespace {

/// left + right.
SparseScores merged(const SparseScores& left, const SparseScores& right) {
  SparseScores all{left.width, {}, {}};
  all.keys.reserve(left.keys.size() + right.keys.size());
  all.values.reserve(left.values.size() + right.values.size());
  const auto put = [&all](const SparseScores& from, std::size_t entry) {
    const auto first = from.values.begin() + static_cast<std::ptrdiff_t>(entry) * from.width;
    all.keys.push_back(from.keys[entry]);
    all.values.insert(all.values.end(), first, first + from.width);
  };
  std::size_t l = 0, r = 0;
  while (l < left.keys.size() || r < right.keys.size()) {
    const bool has_left = l < left.keys.size();
    const bool has_right = r < right.keys.size();
    if (has_left && (!has_right || left.keys[l] < right.keys[r])) {
      put(left, l++);
    } else if (has_right && (!has_left || right.keys[r] < left.keys[l])) {
      put(right, r++);
    } else {
      put(left, l++);
      for (std::int64_t i = 0; i < all.width; ++i) {
        all.values[all.values.size() - static_cast<std::size_t>(all.width - i)] +=
            right.values[r * static_cast<std::size_t>(all.width) + static_cast<std::size_t>(i)];
      }
      ++r;
    }
  }
  return all;
}

}  // namespace

void SparseTree::add(SparseScores scores) {
  for (auto& waiting : nodes_) {
    if (!waiting) {
      waiting = std::move(scores);
      return;
    }
    scores = merged(*waiting, scores);
    waiting.reset();
  }
  nodes_.emplace_back(std::move(scores));
}

SparseScores SparseTree::sum() const {
  SparseScores sum;
  bool any = false;
  for (const auto& waiting : nodes_) {  // from the right end of the tree upwards
    if (!waiting) continue;
    sum = any ? merged(*waiting, sum) : *waiting;
    any = true;
  }
  return sum;
}

}  // namespace tributary::detail
