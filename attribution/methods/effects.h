// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// True differences of the metric: a layer's total indirect effect (what a path's scores must sum to), and
// exact patching of single neurons (what a score approximates).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/methods/paths.h"
#include "attribution/methods/table.h"

namespace tributary {

/// What a layer's neurons are moved between: the run that stays as it is, and the two ends of a.
struct LayerEnds {
  const RecordedRun& run;  //!< of the clean prompt; of the counterfactual one when denoising
  at::Tensor start, end;   //!< [pair, pos, neuron]: baseline and clean activations
};

/// E_l [pair], float64: m(x) - m(x; do a^l = baseline), or m(x'; do a^l = a_x) - m(x') when denoising.
at::Tensor layer_effect(const Transformer& model, std::int64_t layer, const LayerEnds& ends, Direction direction,
                        const MetricTokens& tokens, const Batching& batching);

/// A neuron to patch. With positions summed, `position` is -1: the neuron is patched at all of them at once.
struct Neuron {
  std::int64_t layer = 0, position = 0, index = 0;
};

/// Exact patching of `neurons`, all in one layer: m(x) - m(x; do v = start) [pair, n], float64; denoising: m(x'; do v =
/// end) - m(x').
at::Tensor exact_patching(const Transformer& model, const std::vector<Neuron>& neurons, const LayerEnds& ends,
                          Direction direction, const MetricTokens& tokens, const Batching& batching);

/// `count` distinct neurons [layers, positions, neurons], seeded, spread evenly over the layers, in ascending order.
/// positions 1 with Positions::sum. Throws UserError when there are fewer.
std::vector<Neuron> sample_neurons(std::int64_t layers, std::int64_t positions, std::int64_t neurons,
                                   std::int64_t count, std::uint64_t seed, Positions kept);

/// Seeded noise in [-1, 1) that depends on the neuron's place only: [layers, positions, neurons] float32.
at::Tensor noise(std::int64_t layers, std::int64_t positions, std::int64_t neurons, std::uint64_t seed);

}  // namespace tributary
