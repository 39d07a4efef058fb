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
  const std::int64_t most = batching.sequences(runs.suffix());
  std::vector<at::Tensor> effects;  // a pair each [n]
  for (std::int64_t pair = 0; pair < runs.pairs(); ++pair) {
    const at::Tensor amount = at::index_select(difference[pair], 1, index).t() * patched * sign;  // [neuron, pos]
    std::vector<at::Tensor> moved;                                                                // a call each
    for (std::int64_t first = 0; first < count; first += most) {
      batching.pause();
      const std::int64_t width = std::min(most, count - first);
      const at::Tensor step =
          amount.narrow(0, first, width).unsqueeze(2) * columns.narrow(0, first, width).unsqueeze(1);
      const at::Tensor states = writer.moved(base.repeat(pair, width), step);  // [neuron, suffix, d_model]
      Batch batch;
      batch.length = runs.length();
      batch.suffix = runs.suffix();
      batch.reads = runs.directions().reads;
      batch.entries = {{layer + 1, states}};
      batch.pairs = at::full({width}, pair, index.options());
      batch.prefix = runs.prefix();
      ForwardOptions options;
      options.flops = flops;
      const Pass pass = model.forward(std::move(batch), options);
      const LogitDirections directions = runs.directions().narrow(pair, 1).repeat(width);
      moved.push_back(model.metric(pass.resid, directions).to(at::kDouble));
    }
    effects.push_back((at::cat(moved) - runs.metric(base_group)[pair].to(at::kDouble)) * sign);
  }
  return at::stack(effects).cpu();
}

}  // namespace tributary
