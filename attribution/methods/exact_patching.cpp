// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/exact_patching.h"

#include <algorithm>

#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"

namespace tributary {
namespace {

/// 1 where a neuron is patched [neuron, pos], 0 elsewhere; pos are the last positions of the prompts, the earlier ones
/// do not reach the metric.
at::Tensor patched_positions(const std::vector<Neuron>& neurons, std::int64_t first_position, std::int64_t positions) {
  at::Tensor patched = at::zeros({static_cast<std::int64_t>(neurons.size()), positions}, at::kDouble);
  for (std::size_t n = 0; n < neurons.size(); ++n) {
    const std::int64_t position = neurons[n].position - first_position;
    if (neurons[n].position < 0) {
      patched[static_cast<std::int64_t>(n)].fill_(1);
    } else if (position >= 0) {
      patched[static_cast<std::int64_t>(n)][position] = 1;
    }
  }
  return patched;
}

}  // namespace

at::Tensor exact_patching(const BaseRuns& runs, std::int64_t base_group, const std::vector<Neuron>& neurons,
                          const at::Tensor& difference, Direction direction, const Batching& batching, Flops* flops) {
  const Transformer& model = runs.model();
  const std::int64_t layer = neurons.front().layer;
  const std::int64_t positions = difference.size(1);
  const auto count = static_cast<std::int64_t>(neurons.size());
  std::vector<std::int64_t> indices;
  for (const Neuron& neuron : neurons) {
    TRIBUTARY_EXPECT(neuron.layer == layer, "one layer a call");
    indices.push_back(neuron.index);
  }
  const at::Tensor index = detail::staged(indices, difference.options());
  const at::Tensor patched = patched_positions(neurons, runs.length() - positions, positions).to(difference.options());
  const Writer writer = model.mlp_writer(layer);
  const at::Tensor columns = writer.columns(index, model.score_type());  // [neuron, d_model]
  const WrittenStream base = runs.mlp_written(base_group, layer);
  const double sign = direction == Direction::clean ? -1 : 1;
  // The neurons of all pairs one after another, in whatever calls they fill.
  const at::Tensor by_neuron = difference.transpose(1, 2);  // [pair, neuron, pos]
  const std::int64_t all = runs.pairs() * count;
  const std::int64_t most = batching.sequences(runs.suffix());
  std::vector<at::Tensor> moved;  // a call each
  for (std::int64_t first = 0; first < all; first += most) {
    batching.pause();
    const std::int64_t width = std::min(most, all - first);
    std::vector<std::int64_t> pair_of, neuron_of;
    for (std::int64_t i = first; i < first + width; ++i) {
      pair_of.push_back(i / count);
      neuron_of.push_back(i % count);
    }
    const at::Tensor pairs = detail::staged(pair_of, difference.options());
    const at::Tensor listed = detail::staged(neuron_of, difference.options());  // [row] of the list
    const at::Tensor amount =                                                   // [row, pos]
        at::index(by_neuron, {pairs, at::index_select(index, 0, listed)}) * at::index_select(patched, 0, listed) * sign;
    const at::Tensor step = amount.unsqueeze(2) * at::index_select(columns, 0, listed).unsqueeze(1);
    const at::Tensor states = writer.moved(base.select(pairs), step);  // [row, suffix, d_model]
    Batch batch;
    batch.length = runs.length();
    batch.suffix = runs.suffix();
    batch.reads = runs.directions().reads;
    batch.entries = {{layer + 1, states}};
    batch.pairs = pairs;
    batch.prefix = runs.prefix();
    ForwardOptions options;
    options.flops = flops;
    const Pass pass = model.forward(std::move(batch), options);
    moved.push_back(model.metric(pass.resid, runs.directions().select(pairs)).to(at::kDouble));
  }
  const at::Tensor kept = runs.metric(base_group).to(at::kDouble).unsqueeze(1);  // [pair, 1]
  return ((at::cat(moved).view({runs.pairs(), count}) - kept) * sign).cpu();
}

}  // namespace tributary
