// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs that everything about a set of prompt pairs starts from: one forward pass of the clean prompts, the
// counterfactual ones and whatever else paths start at, with its tape. Positions before the first difference are
// computed once and shared.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "attribution/model/transformer.h"
#include "attribution/nodes/site_writer.h"

namespace tributary {

/// Places where something is read.
using Sites = std::set<Site>;

/// Gradients of one group of base runs.
struct BaseGradients {
  std::map<Site, std::vector<at::Tensor>> sites;  //!< [layer]; mlp_out and embeddings are those of the stream
  std::vector<at::Tensor> resid_pre;  //!< [block], dm/dresid_pre [pair, suffix, d_model], stream dtype; the last: of
                                      //!< what leaves the last block
  std::vector<at::Tensor> resid_mid;  //!< [block], the same between its halves, where z is read

  /// dm/dv of what is read at a site of a layer [pair, pos, width], network or stream dtype: pos are the suffix, in the
  /// last layer (but for embeddings) `kept` positions.
  [[nodiscard]] at::Tensor at_site(Site site, std::int64_t layer, std::int64_t kept) const;
  /// dm/dresid at a place of the stream.
  [[nodiscard]] const at::Tensor& at_place(const StreamPlace& place) const;
};

class BaseRuns {
 public:
  /// Runs groups of embeddings [pair, pos, d_model] each, which agree in their first `shared` positions (0: in none).
  /// directions of the metric, a pair each. sites: whose values and gradients are asked for.
  BaseRuns(const Transformer& model, const std::vector<at::Tensor>& embeddings, std::int64_t shared,
           LogitDirections directions, Sites sites, Flops* flops);

  [[nodiscard]] const Transformer& model() const { return *model_; }
  [[nodiscard]] std::int64_t pairs() const { return directions_.rows.size(0); }
  [[nodiscard]] std::int64_t length() const { return pass_.batch.length; }
  [[nodiscard]] std::int64_t suffix() const { return pass_.batch.suffix; }
  [[nodiscard]] const LogitDirections& directions() const { return directions_; }
  [[nodiscard]] const Sites& sites() const { return sites_; }
  [[nodiscard]] const Prefix* prefix() const { return prefix_.blocks.empty() ? nullptr : &prefix_; }
  [[nodiscard]] const Pass& pass() const { return pass_; }

  /// Sequences of a group.
  [[nodiscard]] SequenceRange range(std::int64_t group) const { return {group * pairs(), pairs()}; }
  /// Embeddings [pair, suffix, d_model].
  [[nodiscard]] const at::Tensor& embeddings(std::int64_t group) const;
  /// What is read at a site of a layer [pair, pos, width], network dtype (embeddings: stream dtype); pos is the suffix,
  /// or in the last layer, but for embeddings and resid_pre, the kept positions.
  [[nodiscard]] at::Tensor values(Site site, std::int64_t group, std::int64_t layer) const;
  /// The residual stream after a layer [pair, suffix, d_model]; after the last one, zero but for the kept positions;
  /// after layer -1 what the first block reads.
  [[nodiscard]] at::Tensor resid_post(std::int64_t group, std::int64_t layer) const;
  /// What the writer of a site met when it added to the stream (site_writer.h).
  [[nodiscard]] WrittenStream written(Site site, std::int64_t group, std::int64_t layer) const;
  /// m [pair], score dtype.
  [[nodiscard]] at::Tensor metric(std::int64_t group) const;

  /// One backward pass of a group, for all layers together.
  [[nodiscard]] BaseGradients gradients(std::int64_t group, Rules rules, Flops* flops) const;

 private:
  const Transformer* model_;
  LogitDirections directions_;
  [[nodiscard]] at::Tensor read_positions(const at::Tensor& all, std::int64_t layer) const;
  [[nodiscard]] at::Tensor stream_values(Site site, std::int64_t group, std::int64_t layer) const;
  [[nodiscard]] at::Tensor past_attention(const at::Tensor& rows, std::int64_t group, std::int64_t layer) const;

  Sites sites_;
  std::vector<at::Tensor> embeddings_;
  Prefix prefix_;
  Pass pass_;
  std::map<Site, std::vector<at::Tensor>> values_;  // [layer] of [group * pair, pos, width]
  at::Tensor metric_;                               // [group * pair]
};

}  // namespace tributary
