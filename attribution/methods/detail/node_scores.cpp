// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/node_scores.h"

#include "attribution/model/tensors.h"

namespace tributary::detail {
namespace {

at::Tensor by_node(const at::Tensor& x, const NodeTable& nodes) {
  return x.unflatten(-1, {nodes.nodes, nodes.dims}).sum(-1, false, at::kDouble);
}

}  // namespace

at::Tensor node_sums(const at::Tensor& x, const NodeTable& nodes) {
  return nodes.dims == 1 ? x : by_node(x, nodes).to(x.scalar_type());
}

at::Tensor node_norms(const at::Tensor& x, const NodeTable& nodes) {
  return nodes.dims == 1 ? x.abs() : by_node(x.to(at::kDouble).square(), nodes).sqrt().to(x.scalar_type());
}

void write_products(const at::Tensor& scores, const at::Tensor& difference, const at::Tensor& gradient,
                    const NodeTable& nodes) {
  const std::int64_t positions = difference.size(-2);
  at::Tensor place = scores.narrow(-2, scores.size(-2) - positions, positions);
  if (nodes.dims == 1) {
    at::mul_out(place, difference, gradient);
  } else {
    place.copy_(by_node(difference * gradient, nodes));
  }
}

}  // namespace tributary::detail
