// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pair_tree.h"

#include "attribution/model/tensors.h"

#include <utility>

namespace tributary::detail {

void PairTree::add(at::Tensor scores) {
  for (at::Tensor& waiting : nodes_) {
    if (!waiting.defined()) {
      waiting = std::move(scores);
      return;
    }
    scores = waiting.add_(scores);
    waiting = at::Tensor();
  }
  nodes_.push_back(std::move(scores));
}

at::Tensor PairTree::sum() const {
  at::Tensor sum;
  for (const at::Tensor& waiting : nodes_) {  // from the right end of the tree upwards
    if (!waiting.defined()) continue;
    sum = sum.defined() ? waiting + sum : waiting;
  }
  return sum;
}

}  // namespace tributary::detail
