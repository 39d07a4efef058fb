// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The path of the token embeddings, with everything following: e(alpha) = (1 - alpha) start + alpha end. An example is
// a prompt pair; taps are what is read at some sites of all layers, at the positions that the base runs compute.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "attribution/methods/base_runs.h"
#include "attribution/methods/path.h"
#include "attribution/model/batching.h"

namespace tributary {

/// What samples of an embedding path carry: gradients at some sites, their numbers side by side in the order of the
/// sites [layer, pos, column], and where they are wanted the values. The embeddings themselves need no column: samples
/// have their gradient, and their values are known.
class EmbeddingTaps {
 public:
  enum class What { gradients, values_and_gradients };

  EmbeddingTaps() = default;
  EmbeddingTaps(const std::vector<NodeTable>& tables, What what);

  [[nodiscard]] bool any() const { return width_ > 0; }
  [[nodiscard]] bool values() const { return what_ == What::values_and_gradients; }
  [[nodiscard]] std::int64_t width() const { return width_; }
  [[nodiscard]] bool has(Site site) const { return columns_.contains(site); }
  /// A site's part of [..., column].
  [[nodiscard]] at::Tensor columns(const at::Tensor& all, Site site) const;
  [[nodiscard]] std::vector<Site> sites() const;

 private:
  struct Columns {
    std::int64_t first, count;
  };
  std::map<Site, Columns> columns_;
  std::int64_t width_ = 0;
  What what_ = What::gradients;
};

class EmbeddingPath : public PathNetwork {
 public:
  static constexpr std::int64_t not_run = -1;

  /// The path ends at a group of `runs`. start [pair, suffix, d_model]; start_group: the group that ran it.
  EmbeddingPath(const BaseRuns& runs, std::int64_t end_group, at::Tensor start, std::int64_t start_group, Rules rules,
                EmbeddingTaps taps, Batching batching, Flops* flops);

  [[nodiscard]] const EmbeddingTaps& taps() const { return taps_; }
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override;

 private:
  /// Points of one pass, by their index in the list.
  using Indices = std::vector<std::size_t>;
  void run(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const;
  void at_base_runs(const std::vector<PathPoint>& points, const Indices& indices, std::int64_t group,
                    const Visit& visit) const;
  void backward_to_embeddings(const Pass& pass, SequenceRange range, const at::Tensor& values,
                              const at::Tensor& examples, const Indices& indices, const Visit& visit) const;
  [[nodiscard]] at::Tensor values_of(std::int64_t points) const;
  [[nodiscard]] ForwardOptions::Values keep_in(const at::Tensor& values, Site site) const;

  const BaseRuns& runs_;
  std::int64_t end_group_, start_group_;
  at::Tensor start_, end_, moved_;  // [pair, suffix, d_model]; moved = end - start
  Rules rules_;
  EmbeddingTaps taps_;
  Batching batching_;
  Flops* flops_;
};

}  // namespace tributary
