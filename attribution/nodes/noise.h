// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Seeded noise as scores: what a method must beat.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "attribution/nodes/node_table.h"

namespace tributary {

/// Noise in [-1, 1) that depends on the node's kind and place only: [layers, positions, nodes] float32.
at::Tensor noise(const NodeTable& nodes, std::int64_t positions, std::uint64_t seed);

}  // namespace tributary
