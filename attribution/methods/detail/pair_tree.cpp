// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pair_tree.h"

#include "attribution/model/tensors.h"

#include <utility>

namespace tributary::detail {

void PairTree::add(at::Tensor scores) { add_at(0, std::move(scores)); }

void PairTree::add(const Leaf& leaf) {
  if (nodes_.empty() || !nodes_.front().defined()) return add_at(0, leaf.make());
  at::Tensor left = std::exchange(nodes_.front(), at::Tensor());
  leaf.add_to(left);
  add_at(1, std::move(left));
}

void PairTree::add_at(std::size_t level, at::Tensor scores) {
  for (; level < nodes_.size(); ++level) {
    at::Tensor& waiting = nodes_[level];
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
