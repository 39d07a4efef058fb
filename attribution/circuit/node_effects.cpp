// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/node_effects.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>

#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"
#include "attribution/nodes/site_writer.h"
#include "common/errors.h"

namespace tributary {
namespace {

/// What v [width] at a site of a layer adds to the stream [1, d_model].
at::Tensor written_at(const Transformer& model, Site site, std::int64_t layer, const at::Tensor& v) {
  const at::ScalarType type = model.score_type();
  const Writer writer = site_writer(model, site, layer);
  return writer.move(v.to(type).view({1, 1, -1}), type).select(0, 0) * writer.gains(type);
}

/// The same of a unit of a feature, or of an error v.
at::Tensor written_by(const Transformer& model, const Dictionary& dictionary, const Node& node, const at::Tensor& v) {
  const FeatureTarget& own = dictionary.targets.front();
  if (node.kind == NodeKind::errors) return written_at(model, own.site, own.layer, v);
  at::Tensor all = written_at(model, own.site, own.layer, own.decoder[node.index]);
  for (std::size_t i = 1; i < dictionary.targets.size(); ++i) {
    const FeatureTarget& target = dictionary.targets[i];
    all = all + written_at(model, target.site, target.layer, target.decoder[node.index]);
  }
  return all;
}

/// What a node adds to the stream [1, d_model], for a unit of its value or for a value v [dims].
at::Tensor written_by(const Transformer& model, const NodeTable& table, const Node& node, const at::Tensor& v) {
  const at::ScalarType type = model.score_type();
  const Writer writer = site_writer(model, table.site, node.layer);
  const at::Tensor gains = writer.gains(type);
  if (table.dims == 1) {
    const at::Tensor index = detail::staged(std::vector<std::int64_t>{node.index}, model.options());
    return writer.columns(index, type) * gains;
  }
  at::Tensor all = at::zeros({1, 1, table.width()}, model.score_options());
  all.narrow(2, node.index * table.dims, table.dims).copy_(v);
  return writer.move(all, type).select(0, 0) * gains;
}

/// Logits for each node's direction [node, vocabulary], on the host.
at::Tensor effects_of(const Transformer& model, const ListedNodes& listed, const std::vector<double>& moved) {
  const Weights& weights = model.weights();
  std::vector<at::Tensor> directions;
  std::int64_t next = 0;
  const at::Tensor values = detail::staged(moved, model.options());
  for (const Node& node : listed.nodes) {
    const std::int64_t dims = listed.dims_of(node);
    const at::Tensor v = values.narrow(0, next, dims);
    directions.push_back(of_dictionaries(node.kind)
                             ? written_by(model, (*listed.dictionaries)[static_cast<std::size_t>(node.layer)], node, v)
                             : written_by(model, listed.table_of(node), node, v));
    next += dims;
  }
  at::Tensor w = at::cat(directions);  // [node, d_model]
  if (model.architecture().final_norm.kind == NormKind::layer) {
    w = w - w.to(at::kDouble).mean(-1, /*keepdim=*/true).to(w.scalar_type());
  }
  at::Tensor gain = weights.final_norm_weight.to(w.scalar_type()) + model.architecture().final_norm.gain_offset;
  if (model.architecture().logit_multiplier != 1) gain = gain * model.architecture().logit_multiplier;
  const at::Tensor rows = detail::padded_copy(w * gain, model.options());
  return product(rows, w.size(0), weights.unembedding.t()).to(at::kCPU, at::kDouble);
}

/// Places of the `count` largest of sign · effects, equal ones in order.
std::vector<std::int64_t> strongest(const double* effects, std::int64_t size, std::int64_t count, double sign) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](std::int64_t a, std::int64_t b) {
    return effects[a] != effects[b] ? sign * effects[a] > sign * effects[b] : a < b;
  });
  order.resize(static_cast<std::size_t>(count));
  return order;
}

}  // namespace

const NodeTable& ListedNodes::table_of(const Node& node) const {
  const auto same = [&node](const NodeTable& table) { return table.kind == node.kind; };
  const auto found = std::find_if(tables.begin(), tables.end(), same);
  TRIBUTARY_EXPECT(found != tables.end(), "a node's kind is among the tables");
  return *found;
}

std::int64_t ListedNodes::dims_of(const Node& node) const {
  if (node.kind == NodeKind::errors) {
    return (*dictionaries)[static_cast<std::size_t>(node.layer)].targets.front().decoder.size(1);
  }
  const std::int64_t dims = table_of(node).dims;
  return dims == 1 ? 0 : dims;
}

std::int64_t ListedNodes::dims() const {
  return std::accumulate(nodes.begin(), nodes.end(), std::int64_t{0},
                         [this](std::int64_t sum, const Node& node) { return sum + dims_of(node); });
}

DirectEffects direct_effects(const Transformer& model, const ListedNodes& listed, const std::vector<double>& moved,
                             std::int64_t top) {
  const c10::InferenceMode inference;
  const at::Tensor effects = effects_of(model, listed, moved);
  const std::int64_t vocabulary = effects.size(1);
  const std::int64_t places = std::min(top, vocabulary);
  DirectEffects found;
  for (const double sign : {1.0, -1.0}) {
    at::Tensor tokens = at::empty({effects.size(0), places}, at::kLong);
    auto* next = tokens.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < effects.size(0); ++i) {
      const auto order = strongest(effects.const_data_ptr<double>() + i * vocabulary, vocabulary, places, sign);
      next = std::copy(order.begin(), order.end(), next);
    }
    (sign > 0 ? found.promoted_logit : found.suppressed_logit) = at::gather(effects, 1, tokens);
    (sign > 0 ? found.promoted : found.suppressed) = tokens;
  }
  return found;
}

}  // namespace tributary
