// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Exact patching of single neurons: the true difference of the metric that a score approximates.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/methods/record.h"
#include "attribution/methods/table.h"

namespace tributary {

/// A neuron to patch. With positions summed, `position` is -1: the neuron is patched at all of them at once.
struct Neuron {
  std::int64_t layer = 0, position = 0, index = 0;
};

/// Exact patching of `neurons`, all in one layer, of a record whose run `base_group` stays as it is: m(x) - m(x; do v =
/// baseline), or when denoising m(x'; do v = v(x)) - m(x'): [pair, n] float64. difference: a of clean - baseline in
/// that layer [pair, pos, neuron], score dtype; pos are the last positions of the prompts.
at::Tensor exact_patching(const Record& record, std::int64_t base_group, const std::vector<Neuron>& neurons,
                          const at::Tensor& difference, Direction direction, const Batching& batching, Flops* flops);

/// `count` distinct neurons [layers, positions, neurons], seeded, spread evenly over the layers, in ascending order.
/// positions 1 with Positions::sum. Throws UserError when there are fewer.
std::vector<Neuron> sample_neurons(std::int64_t layers, std::int64_t positions, std::int64_t neurons,
                                   std::int64_t count, std::uint64_t seed, Positions kept);

/// Seeded noise in [-1, 1) that depends on the neuron's place only: [layers, positions, neurons] float32.
at::Tensor noise(std::int64_t layers, std::int64_t positions, std::int64_t neurons, std::uint64_t seed);

}  // namespace tributary
