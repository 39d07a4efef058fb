// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The paths of IG-activations: do a^l = (1 - alpha) start + alpha end, all positions and neurons of layer l jointly,
// everything below as in the base run. The down projection is linear, so the path is a straight line in the residual
// stream after layer l: only the blocks above are computed, and gradients are averaged there. Paths of all layers are
// one PathNetwork, so that layers share the passes through the blocks above them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "attribution/methods/path.h"
#include "attribution/methods/record.h"

namespace tributary {

struct LayerRange {
  std::int64_t first = 0, end = 0;

  [[nodiscard]] std::int64_t count() const { return end - first; }
};

class ActivationPath : public PathNetwork {
 public:
  /// The base run is a group of `record`; it is the path's state at alpha = base_alpha: 1 when the clean run stays, 0
  /// when the counterfactual one does. differences: end - start of each layer of the range [pair, pos, neuron], network
  /// dtype.
  ActivationPath(const Record& record, std::int64_t base_group, double base_alpha, LayerRange layers,
                 const std::vector<at::Tensor>& differences, Rules rules, Batching batching, Flops* flops);

  /// The base run's own gradients (RecordGradients::streams), which give the point base_alpha of all layers at once.
  void know_base(std::vector<at::Tensor> streams) { base_streams_ = std::move(streams); }

  /// Pair `pair` of layer first + l.
  [[nodiscard]] std::int64_t example(std::int64_t l, std::int64_t pair) const { return l * record_.pairs() + pair; }
  [[nodiscard]] std::int64_t examples() const { return layers_.count() * record_.pairs(); }

  /// Samples have gradients of the residual stream after the layer [1, live, d_model]: the neurons' are theirs times
  /// the down projection.
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

  /// m of each point, by forward passes alone.
  [[nodiscard]] std::vector<double> metrics(const std::vector<PathPoint>& points) const;

  /// dm/da [pair, pos, neuron] in score dtype from gradients of the stream after the layer [pair, live, d_model].
  [[nodiscard]] at::Tensor to_neurons(std::int64_t l, const at::Tensor& gradients) const;

 private:
  using Indices = std::vector<std::size_t>;
  struct Climb;

  [[nodiscard]] std::vector<Indices> pieces(const std::vector<PathPoint>& points, Indices chosen) const;
  [[nodiscard]] Climb climb(const std::vector<PathPoint>& points, const Indices& indices,
                            ForwardOptions::Tape tape) const;
  void run(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const;
  void visit_base(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const;

  const Record& record_;
  std::int64_t base_group_;
  double base_alpha_;
  LayerRange layers_;
  Rules rules_;
  Batching batching_;
  Flops* flops_;
  std::vector<at::Tensor> moved_;  // [l] of [pair, live, d_model]: end - start in the stream
  std::vector<at::Tensor> base_;   // [l] of [pair, live, d_model]: the base run's stream
  std::vector<at::Tensor> base_streams_;
};

}  // namespace tributary
