// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// C(x) = M(x; do v = E[v] for v not in C): every MLP neuron outside the circuit is set, at its position, to its
// ablation value, layer after layer in one forward pass. Attention is not ablated.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/model/prompts.h"

namespace tributary {

enum class Ablation { mean, zero, resample };

/// Which neurons a pass keeps: those with place < count in a ranking (a circuit), or the others (its complement).
struct CircuitPoint {
  std::int64_t ranking = 0;  //!< index into Curve::places
  std::int64_t count = 0;
  enum class Side { circuit, complement } side = Side::circuit;
};

/// What a curve unit needs besides its prompts.
struct CurveInputs {
  std::vector<at::Tensor> places;  //!< [layer, pos or 1, neuron] int32 each: the place of every node
  at::Tensor mean;                 //!< Ablation::mean: [layer, pos, neuron]
  Ablation ablation = Ablation::mean;
  std::vector<CircuitPoint> points;
};

/// Sums over the given prompts, float64: of embeddings [pos, d_model] and activations [layer, pos, neuron].
struct ActivationSums {
  at::Tensor embeddings, activations;
};
ActivationSums sum_activations(const Transformer& model, const at::Tensor& ids, const Batching& batching);

/// Metrics of one chunk of evaluation pairs, float64.
struct CurveUnit {
  at::Tensor full;    //!< [pair] F(M)
  at::Tensor empty;   //!< [pair] F(empty)
  at::Tensor points;  //!< [point, pair]
  double flops = 0;   //!< that were needed
};
CurveUnit evaluate_circuits(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                            const Batching& batching);

}  // namespace tributary
