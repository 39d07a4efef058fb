// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The path of the token embeddings, with everything following: e(alpha) = (1 - alpha) start + alpha end. An example is
// a prompt pair; taps are the neurons of all layers, at the positions that the record computes.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/methods/path.h"
#include "attribution/methods/record.h"

namespace tributary {

/// What samples of an embedding path carry.
struct EmbeddingTaps {
  enum class Neurons { none, gradients, values_and_gradients } neurons = Neurons::values_and_gradients;
};

class EmbeddingPath : public PathNetwork {
 public:
  static constexpr std::int64_t not_recorded = -1;

  /// The path ends at a group of `record`. start [pair, live, d_model]; start_group: the record's group that ran it.
  EmbeddingPath(const Record& record, std::int64_t end_group, at::Tensor start, std::int64_t start_group, Rules rules,
                EmbeddingTaps taps, Batching batching, Flops* flops);

  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

 private:
  /// Points of one pass, by their index in the list.
  using Indices = std::vector<std::size_t>;
  void run(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const;
  void from_record(const std::vector<PathPoint>& points, const Indices& indices, std::int64_t group,
                   const Visit& visit) const;
  void descend(const Pass& pass, SequenceRange range, const at::Tensor& examples, const Indices& indices,
               const Visit& visit) const;

  const Record& record_;
  std::int64_t end_group_, start_group_;
  at::Tensor start_, end_, moved_;  // [pair, live, d_model]; moved = end - start
  Rules rules_;
  EmbeddingTaps taps_;
  Batching batching_;
  Flops* flops_;
};

}  // namespace tributary
