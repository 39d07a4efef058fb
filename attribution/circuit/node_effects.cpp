// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/node_effects.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "attribution/methods/base_runs.h"
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
    const bool of_dictionary = node.kind == NodeKind::features || node.kind == NodeKind::errors;
    directions.push_back(of_dictionary
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

/// Values of nodes in some sequences: as one number [sequence, node], and all of them [sequence, ListedNodes::dims()].
struct SequenceValues {
  at::Tensor numbers, all;
};

/// What is read at a site of a layer [sequence, pos, width], stream dtype.
at::Tensor read_of(const BaseRuns& runs, Site site, std::int64_t layer) {
  return runs.values(site, 0, layer).to(runs.model().score_type());
}

/// What the features of all dictionaries, and their biases, do not explain of what stands where one of them writes
/// [sequence, pos, width].
at::Tensor error_at(const BaseRuns& runs, const std::vector<Dictionary>& dictionaries, const FeatureTarget& place) {
  at::Tensor left = read_of(runs, place.site, place.layer).clone();
  for (const Dictionary& dictionary : dictionaries) {
    for (const FeatureTarget& target : dictionary.targets) {
      if (target.site != place.site || target.layer != place.layer) continue;
      if (target.bias.defined()) left.sub_(target.bias);
      const at::Tensor x = read_of(runs, dictionary.reads, dictionary.layer);
      const at::Tensor explained =
          decode(target, feature_differences(dictionary, x.flatten(0, 1), {})).unflatten(0, {x.size(0), x.size(1)});
      left.sub_(explained.narrow(1, explained.size(1) - left.size(1), left.size(1)));
    }
  }
  return left;
}

/// f of listed features, and the errors of dictionaries; only dictionaries that a node asks for are encoded.
void add_dictionary_values(const Transformer& model, const at::Tensor& embeddings, const ListedNodes& listed,
                           const SequenceValues& values, Flops* flops) {
  Sites sites;
  std::set<std::int64_t> wanted;  // dictionaries
  for (const Node& node : listed.nodes) {
    if (node.kind != NodeKind::features && node.kind != NodeKind::errors) continue;
    const Dictionary& dictionary = (*listed.dictionaries)[static_cast<std::size_t>(node.layer)];
    sites.insert({dictionary.reads, dictionary.targets.front().site});
    wanted.insert(node.layer);
    if (node.kind != NodeKind::errors) continue;
    for (const Dictionary& other : *listed.dictionaries) sites.insert(other.reads);  // some write there, too
  }
  if (wanted.empty()) return;
  const at::Tensor any = at::zeros({embeddings.size(0), 1, model.architecture().d_model}, model.score_options());
  const BaseRuns runs(model, {embeddings}, 0, {{}, any, {}}, sites, flops);
  for (const std::int64_t d : wanted) {
    const bool has_error = std::any_of(listed.nodes.begin(), listed.nodes.end(), [&](const Node& node) {
      return node.kind == NodeKind::errors && node.layer == d;
    });
    const Dictionary& dictionary = (*listed.dictionaries)[static_cast<std::size_t>(d)];
    std::vector<std::int64_t> features;
    for (const Node& node : listed.nodes) {
      if (node.kind == NodeKind::features && node.layer == d) features.push_back(node.index);
    }
    std::sort(features.begin(), features.end());
    features.erase(std::unique(features.begin(), features.end()), features.end());
    at::Tensor f, error;  // [sequence, pos, one of features], [sequence, pos, width]
    if (!features.empty()) {
      const at::Tensor x = read_of(runs, dictionary.reads, dictionary.layer);
      f = encode_some(dictionary, x.flatten(0, 1), features).unflatten(0, {x.size(0), x.size(1)});
    }
    if (has_error) error = error_at(runs, *listed.dictionaries, dictionary.targets.front());
    std::int64_t next = 0;
    for (std::size_t i = 0; i < listed.nodes.size(); ++i) {
      const Node& node = listed.nodes[i];
      const std::int64_t dims = listed.dims_of(node);
      next += dims;
      const bool feature = node.kind == NodeKind::features;
      if (node.layer != d || (!feature && node.kind != NodeKind::errors)) continue;
      const at::Tensor& all = feature ? f : error;
      const auto place = std::lower_bound(features.begin(), features.end(), node.index) - features.begin();
      const at::Tensor here = feature ? all.narrow(2, place, 1) : all;  // [sequence, pos, dims]
      const std::int64_t before = embeddings.size(1) - here.size(1);
      const at::Tensor number = values.numbers.select(1, static_cast<std::int64_t>(i));
      at::Tensor v = at::zeros({here.size(0), here.size(2)}, values.numbers.options());
      if (node.position < 0) v = detail::sum_over_positions(here.to(at::kDouble)).select(1, 0);
      if (node.position >= before) v = here.select(1, node.position - before).to(at::kDouble);
      if (dims > 0) values.all.narrow(1, next - dims, dims).copy_(v);
      number.copy_(feature ? v.select(1, 0) : v.square().sum(-1).sqrt());
    }
  }
}

SequenceValues values_of(const Transformer& model, const at::Tensor& ids, const ListedNodes& listed, Flops* flops) {
  const at::TensorOptions wide = model.options().dtype(at::kDouble);
  const SequenceValues values{at::empty({ids.size(0), std::ssize(listed.nodes)}, wide),
                              at::empty({ids.size(0), listed.dims()}, wide)};
  const auto take = [&](const NodeTable& table, std::int64_t layer, const at::Tensor& read) {  // [sequence, pos, width]
    std::int64_t next = 0;
    for (std::size_t i = 0; i < listed.nodes.size(); ++i) {
      const Node& node = listed.nodes[i];
      const std::int64_t dims = listed.dims_of(node);
      next += dims;
      if (node.kind != table.kind || node.layer != layer) continue;
      const at::Tensor number = values.numbers.select(1, static_cast<std::int64_t>(i));
      const at::Tensor here = read.narrow(2, node.index * table.dims, table.dims);  // [sequence, pos, dims]
      if (dims == 0) {
        const bool everywhere = node.position < 0;
        number.copy_(everywhere ? detail::sum_by_position(here) : here.select(1, node.position).select(1, 0));
        continue;
      }
      const at::Tensor v = node.position < 0 ? detail::sum_over_positions(here.to(at::kDouble)).select(1, 0)
                                             : here.select(1, node.position).to(at::kDouble);
      values.all.narrow(1, next - dims, dims).copy_(v);
      number.copy_(v.square().sum(-1).sqrt());
    }
  };
  const at::Tensor embeddings = model.embed(ids);
  ForwardOptions options;
  options.flops = flops;
  options.last_block = LastBlock::all_positions;
  for (const NodeTable& table : listed.tables) {
    if (table.kind == NodeKind::features || table.kind == NodeKind::errors) continue;
    if (table.site == Site::embeddings) {
      take(table, 0, embeddings);
    } else {
      hook_at(options, table.site) = [&take, table](std::int64_t layer, const at::Tensor& read) {
        take(table, layer, read);
      };
    }
  }
  model.forward(whole_batch(embeddings), options);
  add_dictionary_values(model, embeddings, listed, values, flops);
  return {values.numbers.cpu(), values.all.cpu()};
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

NodeValues node_values(const Transformer& model, const Prompts& prompts, const ListedNodes& listed,
                       const Batching& batching) {
  const c10::InferenceMode inference;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t most = batching.sequences(prompts.clean.size(1));
  Flops flops;
  NodeValues found;
  at::Tensor moved;  // [pair, ListedNodes::dims()]
  for (const at::Tensor* ids : {&prompts.clean, &prompts.counterfactual}) {
    if (!ids->defined()) continue;
    std::vector<at::Tensor> numbers, all;  // a call each
    for (std::int64_t first = 0; first < pairs; first += most) {
      batching.pause();
      const SequenceValues values =
          values_of(model, ids->narrow(0, first, std::min(most, pairs - first)), listed, &flops);
      numbers.push_back(values.numbers);
      all.push_back(values.all);
    }
    (ids == &prompts.clean ? found.clean : found.counterfactual) = at::cat(numbers);
    moved = moved.defined() ? moved - at::cat(all) : at::cat(all);
  }
  found.moved = at::zeros({listed.dims()}, at::kDouble);
  for (const at::Tensor& pair : moved.unbind(0)) found.moved.add_(pair);  // in order
  found.flops = flops.count;
  return found;
}

}  // namespace tributary
