// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The path of the token embeddings, with everything following: e(alpha) = (1 - alpha) start + alpha end. An example is
// a prompt pair; taps are the neurons of all layers, at the positions that the base runs compute.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/methods/base_runs.h"
#include "attribution/methods/path.h"
#include "attribution/model/batching.h"

namespace tributary {

/// What samples of an embedding path carry.
struct EmbeddingTaps {
  enum class Neurons { none, gradients, values_and_gradients } neurons = Neurons::values_and_gradients;
};

class EmbeddingPath : public PathNetwork {
 public:
  static constexpr std::int64_t not_run = -1;

  /// The path ends at a group of `runs`. start [pair, suffix, d_model]; start_group: the group that ran it.
  EmbeddingPath(const BaseRuns& runs, std::int64_t end_group, at::Tensor start, std::int64_t start_group, Rules rules,
                EmbeddingTaps taps, Batching batching, Flops* flops);

  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

 private:
  /// Points of one pass, by their index in the list.
  using Indices = std::vector<std::size_t>;
  void run(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const;
  void at_base_runs(const std::vector<PathPoint>& points, const Indices& indices, std::int64_t group,
                    const Visit& visit) const;
  void backward_to_embeddings(const Pass& pass, SequenceRange range, const at::Tensor& examples, const Indices& indices,
                              const Visit& visit) const;

  const BaseRuns& runs_;
  std::int64_t end_group_, start_group_;
  at::Tensor start_, end_, moved_;  // [pair, suffix, d_model]; moved = end - start
  Rules rules_;
  EmbeddingTaps taps_;
  Batching batching_;
  Flops* flops_;
};

}  // namespace tributary
