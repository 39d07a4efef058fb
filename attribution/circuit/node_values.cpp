// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "attribution/circuit/node_effects.h"
#include "attribution/methods/base_runs.h"
#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"

namespace tributary {
namespace {

/// Values of nodes in some sequences: as one number [sequence, node], and all of them [sequence, ListedNodes::dims()].
struct SequenceValues {
  at::Tensor numbers, all;
};

/// What is read at a site of a layer [sequence, one of positions, width], stream dtype; of the last layer only what a
/// run computes.
at::Tensor read_at(const BaseRuns& runs, Site site, std::int64_t layer, const std::vector<std::int64_t>& positions,
                   std::int64_t length) {
  const at::Tensor read = runs.values(site, 0, layer).to(runs.model().score_type());  // [sequence, pos, width]
  const std::int64_t before = length - read.size(1);
  std::vector<std::int64_t> places;
  for (const std::int64_t position : positions) {
    if (position >= before) places.push_back(position - before);
  }
  return read.index_select(1, detail::staged(places, runs.model().options()));
}

/// What the features of all dictionaries, and their biases, do not explain of what stands where one of them writes
/// [sequence, one of positions, width].
at::Tensor error_at(const BaseRuns& runs, const std::vector<Dictionary>& dictionaries, const FeatureTarget& place,
                    const std::vector<std::int64_t>& positions, std::int64_t length, Flops* flops) {
  at::Tensor left = read_at(runs, place.site, place.layer, positions, length);
  for (const Dictionary& dictionary : dictionaries) {
    for (const FeatureTarget& target : dictionary.targets) {
      if (target.site != place.site || target.layer != place.layer) continue;
      if (target.bias.defined()) left.sub_(target.bias);
      const at::Tensor x = read_at(runs, dictionary.reads, dictionary.layer, positions, length);
      const FeatureDifferences f = feature_differences(dictionary, x.flatten(0, 1), {});
      flops->count += 2.0 * static_cast<double>(x.numel() * dictionary.features());
      flops->count += 2.0 * static_cast<double>(std::ssize(f.feature) * left.size(2));
      const at::Tensor explained = decode(target, f).unflatten(0, {x.size(0), x.size(1)});
      left.sub_(explained.narrow(1, explained.size(1) - left.size(1), left.size(1)));
    }
  }
  return left;
}

/// The positions at which listed nodes of a dictionary are, ascending: all where one is meant at all of them.
std::vector<std::int64_t> positions_of(const ListedNodes& listed, NodeKind kind, std::int64_t dictionary,
                                       std::int64_t length) {
  std::set<std::int64_t> positions;
  for (const Node& node : listed.nodes) {
    if (node.kind != kind || node.layer != dictionary) continue;
    const bool everywhere = node.position < 0;
    for (std::int64_t p = everywhere ? 0 : node.position; p <= (everywhere ? length - 1 : node.position); ++p) {
      positions.insert(p);
    }
  }
  return {positions.begin(), positions.end()};
}

/// Values of a dictionary's listed nodes of one kind: here [sequence, the last of positions, one of places or dims].
struct DictionaryValues {
  at::Tensor here;
  std::vector<std::int64_t> positions;
  std::vector<std::int64_t> places;  //!< of features: which they are, ascending
};

void copy_values(const DictionaryValues& own, const ListedNodes& listed, NodeKind kind, std::int64_t dictionary,
                 const SequenceValues& values) {
  const std::int64_t skipped = std::ssize(own.positions) - own.here.size(1);
  std::int64_t next = 0;
  for (std::size_t i = 0; i < listed.nodes.size(); ++i) {
    const Node& node = listed.nodes[i];
    const std::int64_t dims = listed.dims_of(node);
    next += dims;
    if (node.kind != kind || node.layer != dictionary) continue;
    const auto place = std::lower_bound(own.places.begin(), own.places.end(), node.index) - own.places.begin();
    const at::Tensor here = dims == 0 ? own.here.narrow(2, place, 1) : own.here;  // [sequence, position, dims or 1]
    at::Tensor v = at::zeros({here.size(0), here.size(2)}, values.numbers.options());
    if (node.position < 0) {
      v = detail::sum_over_positions(here.to(at::kDouble)).select(1, 0);
    } else {
      const auto found = std::lower_bound(own.positions.begin(), own.positions.end(), node.position);
      const std::int64_t at = found - own.positions.begin() - skipped;
      if (at >= 0) v = here.select(1, at).to(at::kDouble);
    }
    if (dims > 0) values.all.narrow(1, next - dims, dims).copy_(v);
    values.numbers.select(1, static_cast<std::int64_t>(i))
        .copy_(dims == 0 ? v.select(1, 0) : v.square().sum(-1).sqrt());
  }
}

/// f of listed features, and the errors of dictionaries; only dictionaries that a node asks for are encoded, and only
/// at its positions.
void add_dictionary_values(const Transformer& model, const at::Tensor& embeddings, const ListedNodes& listed,
                           const SequenceValues& values, Flops* flops) {
  Sites sites;
  std::set<std::pair<std::int64_t, NodeKind>> wanted;  // dictionaries
  std::map<std::int64_t, std::set<std::int64_t>> features;
  for (const Node& node : listed.nodes) {
    if (!of_dictionaries(node.kind)) continue;
    const Dictionary& dictionary = (*listed.dictionaries)[static_cast<std::size_t>(node.layer)];
    sites.insert({dictionary.reads, dictionary.targets.front().site});
    wanted.insert({node.layer, node.kind});
    if (node.kind == NodeKind::features) features[node.layer].insert(node.index);
    if (node.kind != NodeKind::errors) continue;
    for (const Dictionary& other : *listed.dictionaries) sites.insert(other.reads);  // some write there, too
  }
  if (wanted.empty()) return;
  const std::int64_t length = embeddings.size(1);
  const at::Tensor any = at::zeros({embeddings.size(0), 1, model.architecture().d_model}, model.score_options());
  const BaseRuns runs(model, {embeddings}, 0, {{}, any, {}}, sites, flops);
  for (const auto& [d, kind] : wanted) {
    const Dictionary& dictionary = (*listed.dictionaries)[static_cast<std::size_t>(d)];
    DictionaryValues own{{}, positions_of(listed, kind, d, length), {features[d].begin(), features[d].end()}};
    if (kind == NodeKind::features) {
      const at::Tensor x = read_at(runs, dictionary.reads, dictionary.layer, own.positions, length);
      flops->count += 2.0 * static_cast<double>(x.numel() * std::ssize(own.places));
      own.here = encode_some(dictionary, x.flatten(0, 1), own.places).unflatten(0, {x.size(0), x.size(1)});
    } else {
      own.here = error_at(runs, *listed.dictionaries, dictionary.targets.front(), own.positions, length, flops);
    }
    copy_values(own, listed, kind, d, values);
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
  bool reads = false;
  for (const NodeTable& table : listed.tables) {
    if (of_dictionaries(table.kind)) continue;
    if (table.site == Site::embeddings) {
      take(table, 0, embeddings);
    } else {
      reads = true;
      hook_at(options, table.site) = [&take, table](std::int64_t layer, const at::Tensor& read) {
        take(table, layer, read);
      };
    }
  }
  if (reads) model.forward(whole_batch(embeddings), options);
  add_dictionary_values(model, embeddings, listed, values, flops);
  return {values.numbers.cpu(), values.all.cpu()};
}

}  // namespace

NodeValues node_values(const Transformer& model, const Prompts& prompts, const ListedNodes& listed,
                       const Batching& batching) {
  const c10::InferenceMode inference;
  const std::int64_t pairs = prompts.clean.size(0);
  Flops flops;
  NodeValues found;
  // A pair's two prompts stand in one call: what is read of a dictionary is read once for both.
  const bool paired = prompts.counterfactual.defined();
  const std::int64_t most = std::max<std::int64_t>(1, batching.sequences(prompts.clean.size(1)) / (paired ? 2 : 1));
  std::vector<at::Tensor> clean, counterfactual, moved;  // a call each: [pair, node] twice, [pair, ListedNodes::dims()]
  for (std::int64_t first = 0; first < pairs; first += most) {
    batching.pause();
    const std::int64_t count = std::min(most, pairs - first);
    at::Tensor ids = prompts.clean.narrow(0, first, count);
    if (paired) ids = at::cat({ids, prompts.counterfactual.narrow(0, first, count)});
    const SequenceValues values = values_of(model, ids, listed, &flops);
    clean.push_back(values.numbers.narrow(0, 0, count));
    moved.push_back(values.all.narrow(0, 0, count));
    if (!paired) continue;
    counterfactual.push_back(values.numbers.narrow(0, count, count));
    moved.back() = moved.back() - values.all.narrow(0, count, count);
  }
  found.clean = at::cat(clean);
  if (paired) found.counterfactual = at::cat(counterfactual);
  found.moved = at::zeros({listed.dims()}, at::kDouble);
  for (const at::Tensor& pair : at::cat(moved).unbind(0)) found.moved.add_(pair);  // in order
  found.flops = flops.count;
  return found;
}

}  // namespace tributary
