// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// C(x) = M(x; do v = E[v] for v not in C): every node outside the circuit is set, at its position, to its ablation
// value, layer after layer in one forward pass: a neuron's a, a head's z, an MLP's output, a token's embedding. What is
// no node of the run's kinds is not ablated.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "attribution/methods/attribute.h"
#include "attribution/model/prompts.h"
#include "attribution/nodes/feature_edit.h"

namespace tributary {

enum class Ablation { mean, zero, resample };

/// Which nodes a pass keeps: those with place < count in a ranking (a circuit), or the others (its complement).
struct CircuitPoint {
  std::int64_t ranking = 0;  //!< index into Curve::places
  std::int64_t count = 0;
  enum class Side { circuit, complement } side = Side::circuit;
};

/// What a curve unit needs besides its prompts.
struct CurveInputs {
  NodeLayout layout;               //!< of the nodes that compete
  std::vector<at::Tensor> places;  //!< [node of the layout] int32 each: the place of every node
  MeanState mean;                  //!< Ablation::mean
  std::shared_ptr<const std::vector<Dictionary>> dictionaries{};  //!< of features
  std::shared_ptr<const FeatureValues> feature_mean{};            //!< Ablation::mean of features: of one sequence
  Ablation ablation = Ablation::mean;
  std::vector<CircuitPoint> points;
};

/// Sums over the given prompts, float64: of the embeddings [1, pos, d_model], and of what is read at the sites of some
/// tables [layer, pos, width].
std::map<Site, at::Tensor> sum_activations(const Transformer& model, const at::Tensor& ids,
                                           const std::vector<NodeTable>& tables, const Batching& batching);

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
