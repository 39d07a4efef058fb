// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The paths of IG-activations: do a^l = (1 - alpha) start + alpha end, all positions and neurons of layer l jointly,
// everything below as in the base run. The path is straight in the writer's input (of most families in the residual
// stream too); so only the blocks above are computed, and gradients are averaged there. Paths of all layers are one
// PathNetwork, so that layers share the passes through the blocks above them.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attribution/methods/base_runs.h"
#include "attribution/methods/path.h"
#include "attribution/model/batching.h"

namespace tributary {

struct LayerRange {
  std::int64_t first = 0, end = 0;

  [[nodiscard]] std::int64_t count() const { return end - first; }
};

/// Rows of an adaptive method's network calls: its first round takes two points of each example, and a later one, which
/// may refine any of them, takes no more in a call (but an eighth of the batch), so that the memory is known
/// beforehand.
inline std::int64_t rows_of_adaptive_call(std::int64_t batch_rows, std::int64_t examples, std::int64_t suffix) {
  return std::min(batch_rows, std::max(batch_rows / 8, 2 * examples * suffix));
}

class ActivationPath : public PathNetwork {
 public:
  /// The base run is a group of `runs`; it is the path's state at alpha = base_alpha: 1 when the clean run stays, 0
  /// when the counterfactual one does. differences: end - start of each layer of the range [pair, pos, neuron], network
  /// dtype. some: the only pairs that have points, whose differences those are; empty: all pairs.
  ActivationPath(const BaseRuns& runs, std::int64_t base_group, double base_alpha, LayerRange layers,
                 const std::vector<at::Tensor>& differences, Rules rules, Batching batching, Flops* flops,
                 const std::vector<std::int64_t>& some = {});

  /// The base run's own gradients (BaseGradients::resid_post), which give the point base_alpha of all layers at once.
  /// Of a path of all pairs.
  void know_base(std::vector<at::Tensor> gradients) { base_gradients_ = std::move(gradients); }

  /// Pair `pair` of layer first + l.
  [[nodiscard]] std::int64_t example(std::int64_t l, std::int64_t pair) const { return l * runs_.pairs() + pair; }
  [[nodiscard]] std::int64_t examples() const { return layers_.count() * runs_.pairs(); }

  /// Samples have gradients of the layer's writer's input [1, suffix, d_model]: to_neurons makes the neurons' of them.
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

  /// m of each point, by forward passes alone.
  [[nodiscard]] std::vector<double> metrics(const std::vector<PathPoint>& points) const;

  /// dm/da [pair, pos, neuron] in score dtype from gradients of the layer's writer's input [pair, suffix, d_model].
  [[nodiscard]] at::Tensor to_neurons(std::int64_t l, const at::Tensor& gradients) const;

 private:
  using Indices = std::vector<std::size_t>;
  struct LayerPoints;
  struct SuffixRun;

  [[nodiscard]] std::vector<Indices> calls(const std::vector<PathPoint>& points, Indices chosen) const;
  [[nodiscard]] std::vector<LayerPoints> by_layer(const std::vector<PathPoint>& points, const Indices& call) const;
  [[nodiscard]] SuffixRun run_above(std::vector<LayerPoints> layers, ForwardOptions::Tape tape) const;
  void run(const std::vector<PathPoint>& points, const Indices& call, const Visit& visit) const;
  void visit_base(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const;
  [[nodiscard]] const WriterLine& line(std::int64_t l) const { return lines_[static_cast<std::size_t>(l)]; }
  [[nodiscard]] Derivative norm_derivative() const {
    return rules_.has(Rule::norm) ? Derivative::replaced : Derivative::plain;
  }
  [[nodiscard]] const at::Tensor& base_gradient(std::int64_t l) const {
    return base_gradients_[static_cast<std::size_t>(layers_.first + l)];
  }

  const BaseRuns& runs_;
  std::int64_t base_group_;
  double base_alpha_;
  LayerRange layers_;
  Rules rules_;
  Batching batching_;
  Flops* flops_;
  std::vector<WriterLine> lines_;           // [l]
  at::Tensor places_;                       // of pairs in the lines [pair] int64; undefined: in order
  std::vector<at::Tensor> base_gradients_;  // [layer of the model] of [pair, suffix, d_model]; empty: not known
};

}  // namespace tributary
