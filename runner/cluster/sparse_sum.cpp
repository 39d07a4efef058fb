// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/sparse_sum.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <string>

#include "common/errors.h"

namespace tributary {

bool is_sound(const SparseSum& sum) {
  if (sum.keys.empty()) return sum.width == 0 && sum.values.empty();
  const std::int64_t keys = std::ssize(sum.keys), values = std::ssize(sum.values);
  if (sum.width <= 0 || values % keys != 0 || values / keys != sum.width) return false;
  return std::adjacent_find(sum.keys.begin(), sum.keys.end(), std::greater_equal<>()) == sum.keys.end();
}

SparseSum added(SparseSum left, SparseSum right) {
  if (right.keys.empty()) return left;
  if (left.keys.empty()) return right;
  TRIBUTARY_EXPECT(left.width == right.width, "sparse sums of " + std::to_string(left.width) + " and " +
                                                  std::to_string(right.width) + " numbers a key cannot be added");
  SparseSum sum;
  sum.width = left.width;
  std::set_union(left.keys.begin(), left.keys.end(), right.keys.begin(), right.keys.end(),
                 std::back_inserter(sum.keys));
  sum.values.reserve(sum.keys.size() * static_cast<std::size_t>(sum.width));
  auto left_key = left.keys.begin(), right_key = right.keys.begin();
  auto left_values = left.values.begin(), right_values = right.values.begin();
  for (const std::int64_t key : sum.keys) {
    const bool in_left = left_key != left.keys.end() && *left_key == key;
    const bool in_right = right_key != right.keys.end() && *right_key == key;
    const auto out = std::back_inserter(sum.values);
    if (in_left && in_right) {
      std::transform(left_values, left_values + sum.width, right_values, out, std::plus<>());
    } else {
      std::copy_n(in_left ? left_values : right_values, sum.width, out);
    }
    if (in_left) ++left_key, left_values += sum.width;
    if (in_right) ++right_key, right_values += sum.width;
  }
  return sum;
}

}  // namespace tributary
