// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Exact patching of single nodes: the true difference of the metric that a score approximates.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/methods/base_runs.h"
#include "attribution/methods/table.h"
#include "attribution/model/batching.h"
#include "attribution/nodes/node.h"

namespace tributary {

/// Exact patching of `nodes` of a table, all in one layer, of base runs whose group `base_group` stays as it is: m(x) -
/// m(x; do v = baseline), or when denoising m(x'; do v = v(x)) - m(x'): [pair, n] float64. difference: v of clean -
/// baseline in that layer [pair, pos, width], score dtype; pos are the last positions of the prompts.
at::Tensor exact_patching(const BaseRuns& runs, std::int64_t base_group, const NodeTable& table,
                          const std::vector<Node>& nodes, const at::Tensor& difference, Direction direction,
                          const Batching& batching, Flops* flops);

}  // namespace tributary
