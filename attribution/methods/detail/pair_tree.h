// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The fixed binary tree over the pairs of a unit: node(level, i) = node(level - 1, 2i) + node(level - 1, 2i + 1), a
// missing child leaves the other alone. It is the tree that the fold over units goes on with (runner/cluster/fold.h),
// so sums do not depend on how many pairs a unit has, as long as that is a power of two.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tributary::detail {

class PairTree {
 public:
  /// The next pair's scores; the tree keeps and changes the tensor.
  void add(at::Tensor scores);
  /// The sum of all; undefined when there were none.
  [[nodiscard]] at::Tensor sum() const;

 private:
  std::vector<at::Tensor> nodes_;  // by level; undefined: none waiting for its sibling
};

}  // namespace tributary::detail
