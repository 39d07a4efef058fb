// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ablation.h"

#include <c10/core/InferenceMode.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <map>
#include <utility>

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

/// Ablation values of each pair [layer, pair, pos, neuron] (pair 1 where all share them), network dtype.
at::Tensor ablation_values(const Transformer& model, const Prompts& prompts, const CurveInputs& inputs, Flops* flops) {
  const Architecture& a = model.architecture();
  switch (inputs.ablation) {
    case Ablation::mean:
      return inputs.mean.to(model.options()).unsqueeze(1);
    case Ablation::zero:
      return at::zeros({a.layers(), 1, prompts.clean.size(1), a.neurons}, model.options());
    case Ablation::resample: {
      TRIBUTARY_EXPECT(prompts.counterfactual.defined(), "resample ablation is refused for unpaired prompts");
      std::vector<at::Tensor> by_layer;
      ForwardOptions options;
      options.flops = flops;
      options.last_block = LastBlock::all_positions;
      options.neurons = [&by_layer](std::int64_t, const at::Tensor& neurons) { by_layer.push_back(neurons.clone()); };
      model.forward(whole_batch(model.embed(prompts.counterfactual)), options);
      return at::stack(by_layer);
    }
  }
  throw ContractViolation("an ablation outside the enumeration");
}

/// By point, the first layer in which some neuron is ablated; the number of layers where none is.
std::vector<std::int64_t> first_ablated(const CurveInputs& inputs, std::int64_t layers) {
  std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> ranges;  // [ranking][layer] least and greatest place
  for (const at::Tensor& places : inputs.places) {
    const at::Tensor flat = places.reshape({layers, -1});
    const at::Tensor least = flat.amin(1).cpu();
    const at::Tensor greatest = flat.amax(1).cpu();
    std::vector<std::pair<std::int64_t, std::int64_t>> by_layer;
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      by_layer.emplace_back(least.const_data_ptr<std::int32_t>()[layer],
                            greatest.const_data_ptr<std::int32_t>()[layer]);
    }
    ranges.push_back(std::move(by_layer));
  }
  std::vector<std::int64_t> first;
  for (const CircuitPoint& point : inputs.points) {
    const auto& by_layer = ranges[static_cast<std::size_t>(point.ranking)];
    std::int64_t layer = 0;
    while (layer < layers) {
      const auto& [least, greatest] = by_layer[static_cast<std::size_t>(layer)];
      if (point.side == CircuitPoint::Side::circuit ? greatest >= point.count : least < point.count) break;
      ++layer;
    }
    first.push_back(layer);
  }
  return first;
}

/// The rows of one network call, in order of entry, as tensors.
class Stack {
 public:
  Stack(const CurveInputs& inputs, const at::Tensor& places, const at::Tensor& values, const std::vector<Row>& rows,
        const at::TensorOptions& options)
      : places_(places), values_(values) {
    std::vector<std::int64_t> pair, value_row, ranking;
    std::vector<std::int32_t> kept;
    std::vector<std::int64_t> complement;
    for (const Row& row : rows) {
      const CircuitPoint& point = inputs.points[static_cast<std::size_t>(row.point)];
      pair.push_back(row.pair);
      value_row.push_back(values.size(1) == 1 ? 0 : row.pair);
      ranking.push_back(point.ranking);
      kept.push_back(static_cast<std::int32_t>(point.count));
      complement.push_back(point.side == CircuitPoint::Side::complement ? 1 : 0);
    }
    pairs_ = detail::staged(pair, options);
    value_rows_ = detail::staged(value_row, options);
    ranking_ = detail::staged(ranking, options);
    kept_ = detail::staged(kept, options);
    complement_ = detail::staged(complement, options).to(at::kBool);
  }

  [[nodiscard]] const at::Tensor& pairs() const { return pairs_; }

  /// a [sequence, pos, neuron] of the sequences that have entered, the first ones
  void ablate(std::int64_t layer, const at::Tensor& a) const {
    const auto here = [&a](const at::Tensor& t) { return t.narrow(0, 0, a.size(0)); };
    tributary::ablate(a, {places_.select(1, layer), values_[layer], here(ranking_), here(value_rows_), here(kept_),
                          here(complement_)});
  }

 private:
  const at::Tensor& places_;
  const at::Tensor& values_;
  at::Tensor pairs_, value_rows_, ranking_, kept_, complement_;
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

ActivationSums sum_activations(const Transformer& model, const at::Tensor& ids, const Batching& batching) {
  const c10::InferenceMode inference;
  const Architecture& a = model.architecture();
  const at::TensorOptions options = model.options().dtype(at::kDouble);
  ActivationSums sums{at::zeros({ids.size(1), a.d_model}, options),
                      at::zeros({a.layers(), ids.size(1), a.neurons}, options)};
  const std::int64_t piece = batching.sequences(ids.size(1));
  for (std::int64_t first = 0; first < ids.size(0); first += piece) {
    batching.pause();
    const at::Tensor embeddings = model.embed(ids.narrow(0, first, std::min(piece, ids.size(0) - first)));
    // One pair after the other: the order of additions is ours.
    for (const at::Tensor& one : embeddings.unbind(0)) sums.embeddings.add_(one.to(at::kDouble));
    ForwardOptions forward;
    forward.last_block = LastBlock::all_positions;
    forward.neurons = [&sums](std::int64_t layer, const at::Tensor& neurons) {
      for (const at::Tensor& one : neurons.unbind(0)) sums.activations[layer].add_(one.to(at::kDouble));
    };
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
  const at::Tensor values = ablation_values(model, prompts, inputs, &flops);
  const at::Tensor places = at::stack(inputs.places);  // [ranking, layer, pos or 1, neuron]

  CurveInputs all = inputs;  // the empty circuit and the whole model are two more points: no node kept, and all
  all.points.push_back({0, 0, CircuitPoint::Side::circuit});
  all.points.push_back({0, inputs.places.front().numel(), CircuitPoint::Side::circuit});
  const std::vector<std::int64_t> entries = first_ablated(all, layers);
  std::vector<Row> rows;
  for (std::int64_t point = 0; point < static_cast<std::int64_t>(all.points.size()); ++point) {
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      rows.push_back({pair, point, entries[static_cast<std::size_t>(point)]});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.entry < b.entry; });
  const std::map<std::int64_t, at::Tensor> streams = clean_streams(model, prompts, rows, &flops);

  at::Tensor metrics = at::empty({static_cast<std::int64_t>(all.points.size()), pairs}, at::kDouble);
  const auto piece = static_cast<std::size_t>(batching.sequences(length));
  for (std::size_t first = 0; first < rows.size(); first += piece) {
    batching.pause();
    const std::vector<Row> some(rows.begin() + static_cast<std::ptrdiff_t>(first),
                                rows.begin() + static_cast<std::ptrdiff_t>(std::min(first + piece, rows.size())));
    const Stack stack(all, places, values, some, model.options());
    Batch batch;
    batch.length = batch.suffix = length;
    batch.reads = directions.reads;
    for (std::size_t begin = 0; begin < some.size();) {
      std::size_t end = begin;
      while (end < some.size() && some[end].entry == some[begin].entry) ++end;
      const at::Tensor of_row =
          stack.pairs().narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end - begin));
      batch.entries.push_back({some[begin].entry, at::index_select(streams.at(some[begin].entry), 0, of_row)});
      begin = end;
    }
    ForwardOptions options;
    options.flops = &flops;
    options.neurons = [&stack](std::int64_t layer, const at::Tensor& a) { stack.ablate(layer, a); };
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
