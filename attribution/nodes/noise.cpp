// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/noise.h"

#include "attribution/model/tensors.h"
#include "common/seeded.h"

namespace tributary {

at::Tensor noise(std::int64_t layers, std::int64_t positions, std::int64_t neurons, std::uint64_t seed) {
  at::Tensor values = at::empty({layers, positions, neurons}, at::kFloat);
  auto* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const std::uint64_t bits = mixed(mixed(seed) + static_cast<std::uint64_t>(i)) >> 40;  // 24 bits: exact in float32
    data[i] = static_cast<float>(bits) / static_cast<float>(1 << 23) - 1.0F;
  }
  return values;
}

}  // namespace tributary
