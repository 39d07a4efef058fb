// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Seeded noise as scores: what a method must beat.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tributary {

/// Noise in [-1, 1) that depends on the neuron's place only: [layers, positions, neurons] float32.
at::Tensor noise(std::int64_t layers, std::int64_t positions, std::int64_t neurons, std::uint64_t seed);

}  // namespace tributary
