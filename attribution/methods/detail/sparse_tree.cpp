// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/sparse_tree.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/errors.h"
#include "common/team.h"

namespace tributary::detail {
namespace {

/// How many keys at least one of two lists has.
std::size_t count_of_either(const std::vector<std::int64_t>& left, const std::vector<std::int64_t>& right) {
  std::size_t l = 0, r = 0, count = 0;
  for (; l < left.size() && r < right.size(); ++count) {
    const std::int64_t a = left[l], b = right[r];
    l += static_cast<std::size_t>(a <= b);
    r += static_cast<std::size_t>(b <= a);
  }
  return count + (left.size() - l) + (right.size() - r);
}

/// left + right. No value is −0, so a key that one of them lacks may have 0 there.
template <std::int64_t width>
SparseScores merged(const SparseScores& left, const SparseScores& right) {
  constexpr auto numbers = static_cast<std::size_t>(width);
  constexpr double zeros[numbers] = {};  // NOLINT(*-avoid-c-arrays)
  const std::size_t left_keys = left.keys.size(), right_keys = right.keys.size();
  SparseScores all{width, {}, {}};
  all.keys.resize(count_of_either(left.keys, right.keys));
  all.values.resize(numbers * all.keys.size());
  std::size_t l = 0, r = 0, count = 0;
  while (l < left_keys && r < right_keys) {  // without branches: which key comes next can't be foreseen
    const std::int64_t a = left.keys[l], b = right.keys[r];
    const double* const from_left = a <= b ? left.values.data() + numbers * l : zeros;
    const double* const from_right = b <= a ? right.values.data() + numbers * r : zeros;
    all.keys[count] = std::min(a, b);
    for (std::size_t i = 0; i < numbers; ++i) all.values[numbers * count + i] = from_left[i] + from_right[i];
    l += static_cast<std::size_t>(a <= b);
    r += static_cast<std::size_t>(b <= a);
    ++count;
  }
  const auto copy_rest = [&all, &count](const SparseScores& from, std::size_t first) {
    std::copy(from.keys.begin() + static_cast<std::ptrdiff_t>(first), from.keys.end(),
              all.keys.begin() + static_cast<std::ptrdiff_t>(count));
    std::copy(from.values.begin() + static_cast<std::ptrdiff_t>(numbers * first), from.values.end(),
              all.values.begin() + static_cast<std::ptrdiff_t>(numbers * count));
    count += from.keys.size() - first;
  };
  copy_rest(left, l);
  copy_rest(right, r);
  return all;
}

SparseScores merged(const SparseScores& left, const SparseScores& right) {
  if (left.keys.empty()) return right;
  if (right.keys.empty()) return left;
  TRIBUTARY_EXPECT(left.width == right.width && (left.width == 1 || left.width == 3),
                   "a key has its value, and maybe square and sign");
  return left.width == 1 ? merged<1>(left, right) : merged<3>(left, right);
}

}  // namespace

void SparseTree::add(std::vector<SparseScores> pairs) {
  std::vector<SparseScores> next = std::move(pairs);
  for (std::size_t level = 0; !next.empty(); ++level) {
    if (nodes_.size() == level) nodes_.emplace_back();
    std::optional<SparseScores>& waiting = nodes_[level];
    if (waiting) next.insert(next.begin(), *std::exchange(waiting, std::nullopt));
    if (next.size() % 2 != 0) {
      waiting = std::move(next.back());
      next.pop_back();
    }
    std::vector<SparseScores> sums(next.size() / 2);
    share_loop(std::ssize(sums), 1, [&](std::int64_t first, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(end); ++i) {
        sums[i] = merged(std::exchange(next[2 * i], {}), std::exchange(next[2 * i + 1], {}));
      }
    });
    next = std::move(sums);
  }
}

SparseScores SparseTree::take_sum() {
  SparseScores sum;
  for (auto& waiting : nodes_) {  // from the right end of the tree upwards
    if (!waiting) continue;
    sum = sum.keys.empty() ? std::move(*waiting) : merged(*waiting, sum);
    waiting.reset();
  }
  return sum;
}

}  // namespace tributary::detail
