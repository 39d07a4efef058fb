// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ablation.h"

#include <c10/core/InferenceMode.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "attribution/circuit/feature_ablation.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/functions.h"
#include "common/errors.h"

namespace tributary {
namespace {

/// A pair under one circuit, which enters the network before the first layer that it changes.
struct Row {
  std::int64_t pair;
  std::int64_t point;
  std::int64_t entry;
};

/// One kind of nodes in the circuits of a call.
struct AblatedKind {
  NodeTable table;
  at::Tensor places;           // [ranking, layer, pos or 1, width] int32: of the node that each number belongs to
  at::Tensor least, greatest;  // of them [ranking, layer], on the host
  at::Tensor values;           // [layer, pair, pos, width] (pair 1 where all share them), the dtype of what is read
};

/// Whether a kind's values are all of a table's, and not those that dictionaries find.
bool is_dense(const NodeTable& table) { return !of_dictionaries(table.kind); }

/// The dtype of what is read at a site.
at::TensorOptions options_at(const Transformer& model, Site site) {
  return site == Site::embeddings ? model.score_options() : model.options();
}

/// What is read at the sites of the circuit's kinds while the counterfactual prompts run [layer, pair, pos, width].
std::map<Site, at::Tensor> counterfactual_values(const Transformer& model, const Prompts& prompts,
                                                 const NodeLayout& layout, Flops* flops) {
  TRIBUTARY_EXPECT(prompts.counterfactual.defined(), "resample ablation is refused for unpaired prompts");
  const at::Tensor embeddings = model.embed(prompts.counterfactual);
  std::map<Site, std::vector<at::Tensor>> by_layer;
  ForwardOptions options;
  options.flops = flops;
  options.last_block = LastBlock::all_positions;
  for (const NodeTable& table : layout.tables()) {
    if (!is_dense(table)) continue;
    if (table.site == Site::embeddings) {
      by_layer[table.site].push_back(embeddings);
      continue;
    }
    hook_at(options, table.site) = [&values = by_layer[table.site]](std::int64_t, const at::Tensor& read) {
      values.push_back(read.clone());
    };
  }
  model.forward(whole_batch(embeddings), options);
  std::map<Site, at::Tensor> values;
  for (const auto& [site, layers] : by_layer) values[site] = at::stack(layers);
  return values;
}

/// Ablation values of each pair, by site [layer, pair, pos, width].
std::map<Site, at::Tensor> ablation_values(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                                           Flops* flops) {
  if (inputs.ablation == Ablation::resample) return counterfactual_values(model, prompts, inputs.layout, flops);
  std::map<Site, at::Tensor> values;
  for (const NodeTable& table : inputs.layout.tables()) {
    if (!is_dense(table)) continue;
    const at::TensorOptions options = options_at(model, table.site);
    values[table.site] = inputs.ablation == Ablation::mean
                             ? inputs.mean.at(table.site).to(options).unsqueeze(1)
                             : at::zeros({table.layers, 1, prompts.clean.size(1), table.width()}, options);
  }
  return values;
}

std::vector<AblatedKind> ablated_kinds(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                                       Flops* flops) {
  const std::map<Site, at::Tensor> values = ablation_values(model, prompts, inputs, flops);
  std::vector<AblatedKind> kinds;
  for (std::size_t kind = 0; kind < inputs.layout.kinds(); ++kind) {
    const NodeTable& table = inputs.layout.tables()[kind];
    if (!is_dense(table)) continue;
    std::vector<at::Tensor> places;
    for (const at::Tensor& all : inputs.places) {
      places.push_back(
          all.narrow(0, inputs.layout.first(kind), inputs.layout.nodes(kind)).view(inputs.layout.shape(kind)));
    }
    at::Tensor stacked = at::stack(places);  // [ranking, layer, pos or 1, node]
    const at::Tensor by_layer = stacked.flatten(2);
    const at::Tensor least = by_layer.amin(2).cpu();
    const at::Tensor greatest = by_layer.amax(2).cpu();
    if (table.dims > 1) stacked = stacked.unsqueeze(4).expand({-1, -1, -1, -1, table.dims}).flatten(3).contiguous();
    kinds.push_back({table, stacked, least, greatest, values.at(table.site)});
  }
  return kinds;
}

/// The first layer in which a point ablates some node of a kind; the number of layers where it does in none.
std::int64_t first_layer(const AblatedKind& kind, const CircuitPoint& point) {
  const bool circuit = point.side == CircuitPoint::Side::circuit;
  const at::Tensor& likeliest = circuit ? kind.greatest : kind.least;
  const std::int64_t layers = likeliest.size(1);
  const auto* const place = likeliest.const_data_ptr<std::int32_t>() + point.ranking * layers;
  std::int64_t layer = 0;
  while (layer < layers && (circuit ? place[layer] < point.count : place[layer] >= point.count)) ++layer;
  return layer;
}

/// By point, the block before which it begins to differ from the whole model; the number of blocks where it does not.
std::vector<std::int64_t> first_ablated(const std::vector<AblatedKind>& kinds,
                                        const std::optional<AblatedFeatures>& features,
                                        const std::vector<CircuitPoint>& points, std::int64_t blocks) {
  std::vector<std::int64_t> first;
  for (const CircuitPoint& point : points) {
    std::int64_t block = features ? features->first_block(point) : blocks;
    for (const AblatedKind& kind : kinds) {
      const std::int64_t layer = first_layer(kind, point);
      if (layer < kind.table.layers) block = std::min(block, layer);
    }
    first.push_back(block);
  }
  return first;
}

/// The rows of one network call, in order of entry, as tensors.
class Stack {
 public:
  Stack(const std::vector<CircuitPoint>& points, const std::vector<AblatedKind>& kinds, const std::vector<Row>& rows,
        const at::TensorOptions& options)
      : kinds_(kinds) {
    std::vector<std::int64_t> pair, ranking;
    std::vector<std::int32_t> kept;
    std::vector<std::int64_t> complement;
    for (const Row& row : rows) {
      const CircuitPoint& point = points[static_cast<std::size_t>(row.point)];
      pair.push_back(row.pair);
      ranking.push_back(point.ranking);
      kept.push_back(static_cast<std::int32_t>(point.count));
      complement.push_back(point.side == CircuitPoint::Side::complement ? 1 : 0);
    }
    pairs_ = detail::staged(pair, options);
    shared_ = at::zeros_like(pairs_);
    ranking_ = detail::staged(ranking, options);
    kept_ = detail::staged(kept, options);
    complement_ = detail::staged(complement, options).to(at::kBool);
  }

  [[nodiscard]] const at::Tensor& pairs() const { return pairs_; }

  /// What is read in a layer [sequence, pos, width] of the sequences that have entered, the first ones.
  void ablate(const AblatedKind& kind, std::int64_t layer, const at::Tensor& read) const {
    const auto here = [&read](const at::Tensor& t) { return t.narrow(0, 0, read.size(0)); };
    const at::Tensor& value_rows = kind.values.size(1) == 1 ? shared_ : pairs_;
    tributary::ablate(read, {kind.places.select(1, layer), kind.values[layer], here(ranking_), here(value_rows),
                             here(kept_), here(complement_)});
  }

  /// What is read at every site but the embeddings, on the way up.
  void ablate_in(ForwardOptions& options) const {
    for (const AblatedKind& kind : kinds_) {
      if (kind.table.site == Site::embeddings) continue;
      hook_at(options, kind.table.site) = [this, &kind](std::int64_t layer, const at::Tensor& read) {
        ablate(kind, layer, read);
      };
    }
  }

  /// The embeddings of the first rows, where they are nodes.
  void ablate_embeddings(const at::Tensor& embeddings) const {
    for (const AblatedKind& kind : kinds_) {
      if (kind.table.site == Site::embeddings) ablate(kind, 0, embeddings);
    }
  }

 private:
  const std::vector<AblatedKind>& kinds_;
  at::Tensor pairs_, shared_, ranking_, kept_, complement_;
};

/// The clean prompts' residual stream before each block that some row enters at [pair, pos, d_model].
std::map<std::int64_t, at::Tensor> clean_streams(const Transformer& model, const Prompts& prompts,
                                                 const std::vector<Row>& rows, Flops* flops) {
  const std::int64_t layers = model.architecture().layers();
  std::map<std::int64_t, at::Tensor> streams;
  for (const Row& row : rows) streams[row.entry] = at::Tensor();
  ForwardOptions options;
  options.flops = flops;
  options.resid_pre = [&streams](std::int64_t block, const at::Tensor& resid) {
    const auto wanted = streams.find(block);
    if (block > 0 && wanted != streams.end()) wanted->second = resid;
  };
  const at::Tensor embeddings = model.embed(prompts.clean);
  const Pass pass = model.forward(whole_batch(embeddings), options);
  if (streams.count(0) != 0) streams[0] = embeddings;
  if (streams.count(layers) != 0) {  // the read positions alone reach the metric
    streams[layers] = pass.resid.expand({-1, prompts.clean.size(1), -1});
  }
  return streams;
}

}  // namespace

std::map<Site, at::Tensor> sum_activations(const Transformer& model, const at::Tensor& ids,
                                           const std::vector<NodeTable>& tables, const Batching& batching) {
  const c10::InferenceMode inference;
  const at::TensorOptions options = model.options().dtype(at::kDouble);
  std::map<Site, at::Tensor> sums;
  sums[Site::embeddings] = at::zeros({1, ids.size(1), model.architecture().d_model}, options);
  for (const NodeTable& table : tables) {
    if (table.site != Site::embeddings)
      sums[table.site] = at::zeros({table.layers, ids.size(1), table.width()}, options);
  }
  const std::int64_t piece = batching.sequences(ids.size(1));
  for (std::int64_t first = 0; first < ids.size(0); first += piece) {
    batching.pause();
    const at::Tensor embeddings = model.embed(ids.narrow(0, first, std::min(piece, ids.size(0) - first)));
    // One pair after the other: the order of additions is ours.
    for (const at::Tensor& one : embeddings.unbind(0)) sums[Site::embeddings][0].add_(one.to(at::kDouble));
    ForwardOptions forward;
    forward.last_block = LastBlock::all_positions;
    for (auto& [site, sum] : sums) {
      if (site == Site::embeddings) continue;
      hook_at(forward, site) = [&all = sum](std::int64_t layer, const at::Tensor& read) {
        for (const at::Tensor& one : read.unbind(0)) all[layer].add_(one.to(at::kDouble));
      };
    }
    model.forward(whole_batch(embeddings), forward);
  }
  return sums;
}

CurveUnit evaluate_circuits(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs,
                            const Batching& batching) {
  const c10::InferenceMode inference;
  Flops flops;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t length = prompts.clean.size(1);
  const std::int64_t layers = model.architecture().layers();
  const LogitDirections directions = model.logit_directions(metric_tokens(model, prompts, batching));
  const std::vector<AblatedKind> kinds = ablated_kinds(model, prompts, inputs, &flops);
  std::optional<AblatedFeatures> features;
  if (AblatedFeatures::has_features(inputs.layout)) features.emplace(model, prompts, inputs, &flops);

  std::vector<CircuitPoint> all =
      inputs.points;  // the empty circuit and the whole model are two more: no node kept, and all
  all.push_back({0, 0, CircuitPoint::Side::circuit});
  all.push_back({0, inputs.layout.nodes(), CircuitPoint::Side::circuit});
  const std::vector<std::int64_t> entries = first_ablated(kinds, features, all, layers);
  std::vector<Row> rows;
  for (std::int64_t point = 0; point < std::ssize(all); ++point) {
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      rows.push_back({pair, point, entries[static_cast<std::size_t>(point)]});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.entry < b.entry; });
  const std::map<std::int64_t, at::Tensor> streams = clean_streams(model, prompts, rows, &flops);

  at::Tensor metrics = at::empty({std::ssize(all), pairs}, at::kDouble);
  const auto piece = static_cast<std::size_t>(batching.sequences(length));
  for (std::size_t first = 0; first < rows.size(); first += piece) {
    batching.pause();
    const std::vector<Row> some(rows.begin() + static_cast<std::ptrdiff_t>(first),
                                rows.begin() + static_cast<std::ptrdiff_t>(std::min(first + piece, rows.size())));
    const Stack stack(all, kinds, some, model.options());
    Batch batch;
    batch.length = batch.suffix = length;
    batch.reads = directions.reads;
    for (std::size_t begin = 0; begin < some.size();) {
      std::size_t end = begin;
      while (end < some.size() && some[end].entry == some[begin].entry) ++end;
      const at::Tensor of_row =
          stack.pairs().narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end - begin));
      batch.entries.push_back({some[begin].entry, at::index_select(streams.at(some[begin].entry), 0, of_row)});
      if (some[begin].entry == 0) stack.ablate_embeddings(batch.entries.back().resid);
      begin = end;
    }
    ForwardOptions options;
    options.flops = &flops;
    stack.ablate_in(options);
    std::vector<CircuitRow> of_call;
    for (const Row& row : some) of_call.push_back({row.pair, all[static_cast<std::size_t>(row.point)]});
    std::optional<CircuitChanges> changes;
    std::optional<FeatureEdits> edits;
    if (features) {
      changes.emplace(*features, std::move(of_call));
      edits.emplace(model, features->dictionaries(), length, *changes, &flops);
      edits->attach(model, options);
    }
    const Pass pass = model.forward(std::move(batch), options);
    const at::Tensor m = model.metric(pass.resid, directions.select(stack.pairs())).to(at::kDouble).cpu();
    for (std::size_t i = 0; i < some.size(); ++i) {
      metrics.mutable_data_ptr<double>()[some[i].point * pairs + some[i].pair] = m.const_data_ptr<double>()[i];
    }
  }
  const auto last = static_cast<std::int64_t>(inputs.points.size());
  return {metrics[last + 1], metrics[last], metrics.narrow(0, 0, last), flops.count};
}

}  // namespace tributary
