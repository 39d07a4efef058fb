// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The fixed binary tree over the pairs of a unit: node(level, i) = node(level - 1, 2i) + node(level - 1, 2i + 1), a
// missing child leaves the other alone. It is the tree that the fold over units goes on with (runner/cluster/fold.h),
// so sums do not depend on how many pairs a unit has, as long as that is a power of two.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <vector>

namespace tributary::detail {

class PairTree {
 public:
  /// The next pair's scores; the tree keeps and changes the tensor.
  void add(at::Tensor scores);
  /// The same, where scores can be added to their left sibling's without being a tensor of their own.
  struct Leaf {
    std::function<at::Tensor()> make;
    std::function<void(const at::Tensor& left)> add_to;  //!< in place
  };
  void add(const Leaf& leaf);
  /// The sum of all; undefined when there were none.
  [[nodiscard]] at::Tensor sum() const;

 private:
  void add_at(std::size_t level, at::Tensor scores);

  std::vector<at::Tensor> nodes_;  // by level; undefined: none waiting for its sibling
};

}  // namespace tributary::detail
