// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// From the numbers that are read at a site to its nodes: a node's score is the sum over its `dims` numbers, one after
// another in the site's width. All of one dtype, which results have too; sums are float64 on the way.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/nodes/node_table.h"

namespace tributary::detail {

/// Σ_dims x [..., nodes] of x [..., width].
at::Tensor node_sums(const at::Tensor& x, const NodeTable& nodes);
/// Euclidean norms over the dims [..., nodes]; of a single number its magnitude.
at::Tensor node_norms(const at::Tensor& x, const NodeTable& nodes);
/// Σ_dims difference · gradient, written to scores [..., pos, nodes], the last positions of which they have.
void write_products(const at::Tensor& scores, const at::Tensor& difference, const at::Tensor& gradient,
                    const NodeTable& nodes);

}  // namespace tributary::detail
