// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The transformer's two paths: the token embeddings with everything following, and one layer's neurons with
// everything below kept as it was.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/methods/path.h"
#include "attribution/model/transformer.h"

namespace tributary {

/// How many sequences go into one network call; changes speed and memory, no bit of a result on the CPU.
struct Batching {
  std::int64_t rows = 512;  //!< sequences × positions, at most (at least one sequence)

  [[nodiscard]] std::int64_t sequences(std::int64_t length) const { return std::max<std::int64_t>(1, rows / length); }
};

/// One forward pass of some prompts, remembered where later passes start from.
struct RecordedRun {
  at::Tensor embeddings;   //!< [pair, pos, d_model]
  at::Tensor residuals;    //!< [layer, pair, pos, d_model] before each MLP
  at::Tensor activations;  //!< [layer, pair, pos, neuron]
  at::Tensor metric;       //!< [pair], score dtype
};

/// Runs embeddings [pair, pos, d_model] without gradients and records all of it.
RecordedRun record_run(const Transformer& model, const at::Tensor& embeddings, const MetricTokens& tokens,
                       const Batching& batching);

/// m [pair] of `run` with layer's neurons set to a [pair, pos, neuron], the rest below as in the run.
at::Tensor metric_with_layer(const Transformer& model, const RecordedRun& run, std::int64_t layer, const at::Tensor& a,
                             const MetricTokens& tokens, const Batching& batching);

/// e(alpha) = (1 - alpha) start + alpha end, exact at both ends. Taps are the neurons of all layers.
class EmbeddingPath : public PathNetwork {
 public:
  /// start, end [pair, pos, d_model]
  EmbeddingPath(const Transformer& model, at::Tensor start, at::Tensor end, MetricTokens tokens, Rules rules,
                Batching batching);
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;
  /// The same, and counts the rules that entered the graph of the first batch.
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit, Fired* fired) const;

 private:
  const Transformer& model_;
  at::Tensor start_, end_;
  MetricTokens tokens_;
  Rules rules_;
  Batching batching_;
};

/// do a^l = (1 - alpha) start + alpha end, all positions and neurons of one layer jointly; its one tap is that layer.
class ActivationPath : public PathNetwork {
 public:
  /// residuals [pair, pos, d_model] before the layer's MLP; start, end [pair, pos, neuron]
  ActivationPath(const Transformer& model, std::int64_t layer, at::Tensor residuals, at::Tensor start, at::Tensor end,
                 MetricTokens tokens, Rules rules, Batching batching);
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

 private:
  const Transformer& model_;
  std::int64_t layer_;
  at::Tensor residuals_, start_, end_;
  MetricTokens tokens_;
  Rules rules_;
  Batching batching_;
};

}  // namespace tributary
