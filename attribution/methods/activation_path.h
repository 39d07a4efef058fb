// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The paths of IG-activations: do v^l = (1 - alpha) start + alpha end, v^l all positions and nodes of one kind in layer
// l jointly (its neurons, its heads' z, its MLP's output; or the embeddings), everything below as in the base run. The
// path is straight in the writer's input (of most families in the residual stream too); so only what is above is
// computed, and gradients are averaged there. Paths of all layers are one PathNetwork, so that layers share the passes
// through the blocks above them.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attribution/methods/base_runs.h"
#include "attribution/methods/path.h"
#include "attribution/model/batching.h"

namespace tributary {

/// Rows of an adaptive method's network calls: its first round takes two points of each example, and a later one, which
/// may refine any of them, takes no more in a call (but an eighth of the batch), so that the memory is known
/// beforehand.
inline std::int64_t rows_of_adaptive_call(std::int64_t batch_rows, std::int64_t examples, std::int64_t suffix) {
  return std::min(batch_rows, std::max(batch_rows / 8, 2 * examples * suffix));
}

class ActivationPath : public PathNetwork {
 public:
  /// The base run is a group of `runs`; it is the path's state at alpha = base_alpha: 1 when the clean run stays, 0
  /// when the counterfactual one does. differences: end - start of what is read at the site in each layer of the range
  /// [pair, pos, width], score dtype. some: the only pairs that have points, whose differences those are; empty: all.
  ActivationPath(const BaseRuns& runs, std::int64_t base_group, double base_alpha, Site site, LayerRange layers,
                 const std::vector<at::Tensor>& differences, Rules rules, Batching batching, Flops* flops,
                 const std::vector<std::int64_t>& some = {});

  /// The base run's own gradients, which give the point base_alpha of all layers at once. Of a path of all pairs.
  void know_base(const BaseGradients& gradients);

  /// Pair `pair` of layer first + l.
  [[nodiscard]] std::int64_t example(std::int64_t l, std::int64_t pair) const { return l * runs_.pairs() + pair; }
  [[nodiscard]] std::int64_t examples() const { return layers_.count() * runs_.pairs(); }

  /// Samples have gradients of the layer's writer's input [1, suffix, d_model]: to_values makes those of v of them.
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

  /// m of each point, by forward passes alone.
  [[nodiscard]] std::vector<double> metrics(const std::vector<PathPoint>& points) const;

  /// dm/dv [pair, pos, width] in score dtype from gradients of the layer's writer's input [pair, suffix, d_model].
  [[nodiscard]] at::Tensor to_values(std::int64_t l, const at::Tensor& gradients) const;

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
  /// Where the paths of layer l enter the network.
  [[nodiscard]] StreamPlace place(std::int64_t l) const {
    return written_to(runs_.model().architecture(), site_, layers_.first + l);
  }

  const BaseRuns& runs_;
  std::int64_t base_group_;
  double base_alpha_;
  Site site_;
  LayerRange layers_;
  Rules rules_;
  Batching batching_;
  Flops* flops_;
  std::vector<WriterLine> lines_;           // [l]
  at::Tensor places_;                       // of pairs in the lines [pair] int64; undefined: in order
  std::vector<at::Tensor> base_gradients_;  // [l] of [pair, suffix, d_model]; empty: not known
};

}  // namespace tributary
