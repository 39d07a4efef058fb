// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/effects.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "attribution/model/detail/staging.h"
#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {

at::Tensor exact_patching(const Record& record, std::int64_t base_group, const std::vector<Neuron>& neurons,
                          const at::Tensor& difference, Direction direction, const Batching& batching, Flops* flops) {
  const Transformer& model = record.model();
  const std::int64_t layer = neurons.front().layer;
  const std::int64_t live = record.live();
  const std::int64_t first_position = record.length() - difference.size(1);
  const auto count = static_cast<std::int64_t>(neurons.size());
  std::vector<std::int64_t> indices;
  at::Tensor patched = at::zeros({count, difference.size(1)}, at::kDouble);  // 1 where a neuron is patched
  for (std::int64_t n = 0; n < count; ++n) {
    const Neuron& neuron = neurons[static_cast<std::size_t>(n)];
    TRIBUTARY_EXPECT(neuron.layer == layer, "one layer a call");
    indices.push_back(neuron.index);
    const std::int64_t position = neuron.position - first_position;
    if (neuron.position < 0) patched[n].fill_(1);
    if (neuron.position >= 0 && position >= 0) patched[n][position] = 1;
  }
  const at::Tensor index = detail::staged(indices, difference.options());
  patched = patched.to(difference.options());
  const at::Tensor columns = at::index_select(model.weights().layers[static_cast<std::size_t>(layer)].down_weight, 1,
                                              index)
                                 .to(model.score_type())
                                 .t();  // [neuron, d_model]
  const at::Tensor stream = record.stream_after(base_group, layer);
  const double sign = direction == Direction::clean ? -1 : 1;
  const std::int64_t piece = batching.sequences(live);
  std::vector<at::Tensor> effects;  // a pair each [n]
  for (std::int64_t pair = 0; pair < record.pairs(); ++pair) {
    const at::Tensor amount = at::index_select(difference[pair], 1, index).t() * patched * sign;  // [neuron, pos]
    std::vector<at::Tensor> moved;
    for (std::int64_t first = 0; first < count; first += piece) {
      batching.pause();
      const std::int64_t width = std::min(piece, count - first);
      at::Tensor states = stream[pair].unsqueeze(0).repeat({width, 1, 1});  // [neuron, live, d_model]
      const std::int64_t positions = difference.size(1);
      states.narrow(1, live - positions, positions)
          .add_(amount.narrow(0, first, width).unsqueeze(2) * columns.narrow(0, first, width).unsqueeze(1));
      Batch batch;
      batch.length = record.length();
      batch.live = live;
      batch.entries = {{layer + 1, states}};
      batch.pairs = at::full({width}, pair, index.options());
      batch.prefix = record.prefix();
      ForwardOptions options;
      options.flops = flops;
      const Pass pass = model.forward(std::move(batch), options);
      moved.push_back(model.metric(pass.stream, record.directions().narrow(0, pair, 1)).to(at::kDouble));
    }
    effects.push_back((at::cat(moved) - record.metric(base_group)[pair].to(at::kDouble)) * sign);
  }
  return at::stack(effects).cpu();
}

std::vector<Neuron> sample_neurons(std::int64_t layers, std::int64_t positions, std::int64_t neurons,
                                   std::int64_t count, std::uint64_t seed, Positions kept) {
  const std::int64_t in_layer = positions * neurons;
  if (count > layers * in_layer) {
    throw UserError("attribution.sample", "asks for " + std::to_string(count) + " neurons where the model has " +
                                              std::to_string(layers * in_layer));
  }
  std::vector<Neuron> sample;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::int64_t wanted = (layer + 1) * count / layers - layer * count / layers;
    std::set<std::int64_t> chosen;
    for (std::uint64_t draw = 0; static_cast<std::int64_t>(chosen.size()) < wanted; ++draw) {
      const std::uint64_t key = mixed(mixed(seed) ^ mixed(static_cast<std::uint64_t>(layer) << 32 | draw));
      chosen.insert(static_cast<std::int64_t>(key % static_cast<std::uint64_t>(in_layer)));
    }
    for (const std::int64_t place : chosen) {
      sample.push_back({layer, kept == Positions::sum ? -1 : place / neurons, place % neurons});
    }
  }
  return sample;
}

at::Tensor noise(std::int64_t layers, std::int64_t positions, std::int64_t neurons, std::uint64_t seed) {
  at::Tensor values = at::empty({layers, positions, neurons}, at::kFloat);
  auto* data = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const std::uint64_t bits = mixed(mixed(seed) + static_cast<std::uint64_t>(i)) >> 40;  // 24 bits: exact in float32
    data[i] = static_cast<float>(bits) / static_cast<float>(1 << 23) - 1.0F;
  }
  return values;
}

}  // namespace tributary
