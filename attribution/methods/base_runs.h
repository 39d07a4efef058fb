// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs that everything about a set of prompt pairs starts from: one forward pass of the clean prompts, the
// counterfactual ones and whatever else paths start at, with its tape. Positions before the first difference are
// computed once and shared.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/model/transformer.h"

namespace tributary {

/// Gradients of one group of base runs, layer by layer.
struct BaseGradients {
  std::vector<at::Tensor> neurons;     //!< dm/da [pair, pos, neuron], network dtype; kept positions in the last layer
  std::vector<at::Tensor> resid_post;  //!< dm/dresid_post [pair, suffix, d_model], stream dtype
};

class BaseRuns {
 public:
  /// Runs groups of embeddings [pair, pos, d_model] each, which agree in their first `shared` positions (0: in none).
  /// directions of the metric, a pair each.
  BaseRuns(const Transformer& model, const std::vector<at::Tensor>& embeddings, std::int64_t shared,
           LogitDirections directions, Flops* flops);

  [[nodiscard]] const Transformer& model() const { return *model_; }
  [[nodiscard]] std::int64_t pairs() const { return directions_.rows.size(0); }
  [[nodiscard]] std::int64_t length() const { return pass_.batch.length; }
  [[nodiscard]] std::int64_t suffix() const { return pass_.batch.suffix; }
  [[nodiscard]] const LogitDirections& directions() const { return directions_; }
  [[nodiscard]] const Prefix* prefix() const { return prefix_.blocks.empty() ? nullptr : &prefix_; }
  [[nodiscard]] const Pass& pass() const { return pass_; }

  /// Sequences of a group.
  [[nodiscard]] SequenceRange range(std::int64_t group) const { return {group * pairs(), pairs()}; }
  /// Embeddings [pair, suffix, d_model].
  [[nodiscard]] const at::Tensor& embeddings(std::int64_t group) const;
  /// a [pair, pos, neuron] in network dtype; pos is the suffix, or in the last layer the kept positions.
  [[nodiscard]] at::Tensor neurons(std::int64_t group, std::int64_t layer) const;
  /// The residual stream after a layer [pair, suffix, d_model]; after the last one, zero but for the kept positions.
  [[nodiscard]] at::Tensor resid_post(std::int64_t group, std::int64_t layer) const;
  /// What a layer's MLP met when it added to the stream; where it has a norm there, the pass needs a tape.
  [[nodiscard]] WrittenStream mlp_written(std::int64_t group, std::int64_t layer) const;
  /// m [pair], score dtype.
  [[nodiscard]] at::Tensor metric(std::int64_t group) const;

  /// One backward pass of a group, for all layers together.
  [[nodiscard]] BaseGradients gradients(std::int64_t group, Rules rules, Flops* flops) const;

 private:
  const Transformer* model_;
  LogitDirections directions_;
  std::vector<at::Tensor> embeddings_;
  Prefix prefix_;
  Pass pass_;
  std::vector<at::Tensor> neurons_;  // [layer] of [group * pair, pos, neuron]
  at::Tensor metric_;                // [group * pair]
};

}  // namespace tributary
