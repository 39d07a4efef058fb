// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/effects.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {

at::Tensor layer_effect(const Transformer& model, std::int64_t layer, const LayerEnds& ends, Direction direction,
                        const MetricTokens& tokens, const Batching& batching) {
  const bool clean = direction == Direction::clean;
  const at::Tensor moved =
      metric_with_layer(model, ends.run, layer, clean ? ends.start : ends.end, tokens, batching).to(at::kDouble);
  const at::Tensor kept = ends.run.metric.to(at::kDouble);
  return clean ? kept - moved : moved - kept;
}

at::Tensor exact_patching(const Transformer& model, const std::vector<Neuron>& neurons, const LayerEnds& ends,
                          Direction direction, const MetricTokens& tokens, const Batching& batching) {
  const at::NoGradGuard no_gradients;
  const bool clean = direction == Direction::clean;
  const at::Tensor& kept = clean ? ends.end : ends.start;
  const at::Tensor& patch = clean ? ends.start : ends.end;
  const std::int64_t pairs = kept.size(0);
  const std::int64_t length = kept.size(1);
  const std::int64_t layer = neurons.front().layer;
  const std::int64_t piece = batching.sequences(length);
  const auto count = static_cast<std::int64_t>(neurons.size());
  at::Tensor effects = at::empty({pairs, count}, at::kDouble);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    for (std::int64_t first = 0; first < count; first += piece) {
      const std::int64_t width = std::min(piece, count - first);
      const BatchShape shape{width, length};
      at::Tensor a = kept[pair].unsqueeze(0).repeat({width, 1, 1});  // [neuron, pos, neurons]
      for (std::int64_t n = 0; n < width; ++n) {
        const Neuron& neuron = neurons[static_cast<std::size_t>(first + n)];
        TRIBUTARY_EXPECT(neuron.layer == layer, "one layer a call");
        const std::int64_t from = std::max<std::int64_t>(neuron.position, 0);
        const std::int64_t positions = neuron.position < 0 ? length : 1;
        a[n].narrow(0, from, positions)
            .select(1, neuron.index)
            .copy_(patch[pair].narrow(0, from, positions).select(1, neuron.index));
      }
      const at::Tensor residual = ends.run.residuals[layer][pair].unsqueeze(0).expand({width, length, -1});
      const at::Tensor stream = model.resume(layer, to_rows(residual, shape), to_rows(a, shape), shape, {});
      const at::Tensor examples = at::full({width}, pair, tokens.tokens.options());
      const at::Tensor moved = model.metric(stream, shape, tokens.select(examples), {}).to(at::kDouble);
      const at::Tensor reference = ends.run.metric[pair].to(at::kDouble);
      effects[pair].narrow(0, first, width).copy_(clean ? reference - moved : moved - reference);
    }
  }
  return effects;
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
