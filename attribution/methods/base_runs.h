// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs that everything about a set of prompt pairs starts from: one forward pass of the clean prompts, the
// counterfactual ones and whatever else paths start at, with its tape. Positions before the first difference are
// computed once and shared.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "attribution/model/transformer.h"

namespace tributary {

/// How many sequences go into one network call; changes speed and memory, no bit of a result on the CPU.
struct Batching {
  std::int64_t rows = 512;                   //!< sequences × positions, at most (at least one sequence)
  std::function<void()> between_calls = {};  //!< before each network call of a loop; may throw to abandon the unit

  void pause() const {
    if (between_calls) between_calls();
  }

  [[nodiscard]] std::int64_t sequences(std::int64_t length) const { return std::max<std::int64_t>(1, rows / length); }
};

/// dm/da of each layer and dm/dstream before each block, for one group of a record.
struct RecordGradients {
  std::vector<at::Tensor> neurons;  //!< [layer] of [pair, pos, neuron], network dtype; pos is 1 in the last layer
  std::vector<at::Tensor> streams;  //!< [layer + 1] of [pair, live, d_model]: after that layer
};

class Record {
 public:
  /// Runs groups of embeddings [pair, pos, d_model] each, which agree in their first `shared` positions (0: in none).
  /// directions [pair, d_model] of the metric.
  Record(const Transformer& model, const std::vector<at::Tensor>& embeddings, std::int64_t shared,
         const at::Tensor& directions, Flops* flops);

  [[nodiscard]] const Transformer& model() const { return *model_; }
  [[nodiscard]] std::int64_t pairs() const { return directions_.size(0); }
  [[nodiscard]] std::int64_t length() const { return pass_.batch.length; }
  [[nodiscard]] std::int64_t live() const { return pass_.batch.live; }
  [[nodiscard]] const at::Tensor& directions() const { return directions_; }
  [[nodiscard]] const Prefix* prefix() const { return prefix_.blocks.empty() ? nullptr : &prefix_; }
  [[nodiscard]] const Pass& pass() const { return pass_; }

  /// Sequences of a group.
  [[nodiscard]] SequenceRange range(std::int64_t group) const { return {group * pairs(), pairs()}; }
  /// Embeddings [pair, live, d_model].
  [[nodiscard]] const at::Tensor& embeddings(std::int64_t group) const;
  /// a [pair, pos, neuron] in network dtype; pos is live, or 1 in the last layer.
  [[nodiscard]] at::Tensor neurons(std::int64_t group, std::int64_t layer) const;
  /// The residual stream after a layer [pair, live, d_model]; after the last one, zero but for the last position.
  [[nodiscard]] at::Tensor stream_after(std::int64_t group, std::int64_t layer) const;
  /// m [pair], score dtype.
  [[nodiscard]] at::Tensor metric(std::int64_t group) const;

  /// One backward pass of a group, for all layers together.
  [[nodiscard]] RecordGradients gradients(std::int64_t group, Rules rules, Flops* flops) const;

 private:
  const Transformer* model_;
  at::Tensor directions_;
  std::vector<at::Tensor> embeddings_;
  Prefix prefix_;
  Pass pass_;
  std::vector<at::Tensor> neurons_;  // [layer] of [group * pair, pos, neuron]
  at::Tensor metric_;                // [group * pair]
};

}  // namespace tributary
