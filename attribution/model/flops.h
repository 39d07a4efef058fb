// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Floating-point operations that a pass needs, counted from the architecture and the blocks' specs in one place: a
// multiplication and an addition are two. Matrix products and attention only (the rest is below 1 %); rows of padding
// do not count.
#pragma once

#include <cstdint>

#include "attribution/model/architecture.h"

namespace tributary {

/// A running count; one per unit of work.
struct Flops {
  double count = 0;
};

/// Work in one block: `rows` positions whose keys and values are computed, `queries` positions that go on through the
/// rest of the block, and (query, key) pairs that attend.
struct BlockWork {
  std::int64_t rows = 0, queries = 0, attended = 0;
};

/// Forward through one block.
double forward_flops(const Architecture& architecture, const BlockSpec& block, const BlockWork& work);
/// Backward through one block: gradients of activations only (weights are frozen), so as many products as forward, and
/// attention's twice.
double backward_flops(const Architecture& architecture, const BlockSpec& block, const BlockWork& work);

/// One way through a block's MLP alone, for `rows` positions.
double mlp_flops(const Architecture& architecture, const BlockSpec& block, std::int64_t rows);

/// Pairs that attend when the last `queries` of `length` positions look back at most `window` (0: all) positions,
/// themselves included.
std::int64_t attended_pairs(std::int64_t length, std::int64_t queries, std::int64_t window);

}  // namespace tributary
