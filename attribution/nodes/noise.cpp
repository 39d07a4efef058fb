// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/noise.h"

#include "attribution/model/tensors.h"
#include "common/seeded.h"

namespace tributary {

at::Tensor noise(const NodeTable& nodes, std::int64_t positions, std::uint64_t seed) {
  at::Tensor values = at::empty({nodes.layers, positions, nodes.nodes}, at::kFloat);
  seed += static_cast<std::uint64_t>(nodes.kind) << 32;  // each kind draws its own
  auto* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const std::uint64_t bits = mixed(mixed(seed) + static_cast<std::uint64_t>(i)) >> 40;  // 24 bits: exact in float32
    data[i] = static_cast<float>(bits) / static_cast<float>(1 << 23) - 1.0F;
  }
  return values;
}

}  // namespace tributary
