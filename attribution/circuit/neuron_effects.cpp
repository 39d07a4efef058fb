// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/neuron_effects.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>

#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"

namespace tributary {
namespace {

/// Logits for a unit of each neuron's value [neuron, vocabulary], on the host.
at::Tensor effects_of(const Transformer& model, const std::vector<Neuron>& neurons) {
  const Weights& weights = model.weights();
  std::vector<at::Tensor> columns;
  for (const Neuron& neuron : neurons) {
    const at::Tensor index = detail::staged(std::vector<std::int64_t>{neuron.index}, model.options());
    const Writer writer = model.mlp_writer(neuron.layer);
    columns.push_back(writer.columns(index, model.score_type()) * writer.gains(model.score_type()));
  }
  at::Tensor w = at::cat(columns);  // [neuron, d_model]
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

/// The values of neurons in some sequences, column by column.
at::Tensor values_of(const Transformer& model, const at::Tensor& ids, const std::vector<Neuron>& neurons,
                     Flops* flops) {
  at::Tensor values = at::empty({ids.size(0), std::ssize(neurons)}, model.options().dtype(at::kDouble));
  ForwardOptions options;
  options.flops = flops;
  options.last_block = LastBlock::all_positions;
  options.neurons = [&](std::int64_t layer, const at::Tensor& a) {  // [sequence, pos, neuron]
    for (std::size_t i = 0; i < neurons.size(); ++i) {
      if (neurons[i].layer != layer) continue;
      const at::Tensor here = a.narrow(2, neurons[i].index, 1);
      const bool everywhere = neurons[i].position < 0;
      values.select(1, static_cast<std::int64_t>(i))
          .copy_(everywhere ? detail::sum_by_position(here) : here.select(1, neurons[i].position).select(1, 0));
    }
  };
  model.forward(whole_batch(model.embed(ids)), options);
  return values.cpu();
}

}  // namespace

DirectEffects direct_effects(const Transformer& model, const std::vector<Neuron>& neurons, std::int64_t top) {
  const c10::InferenceMode inference;
  const at::Tensor effects = effects_of(model, neurons);
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

NeuronValues neuron_values(const Transformer& model, const Prompts& prompts, const std::vector<Neuron>& neurons,
                           const Batching& batching) {
  const c10::InferenceMode inference;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t most = batching.sequences(prompts.clean.size(1));
  Flops flops;
  NeuronValues found;
  for (const at::Tensor* ids : {&prompts.clean, &prompts.counterfactual}) {
    if (!ids->defined()) continue;
    std::vector<at::Tensor> calls;
    for (std::int64_t first = 0; first < pairs; first += most) {
      batching.pause();
      calls.push_back(values_of(model, ids->narrow(0, first, std::min(most, pairs - first)), neurons, &flops));
    }
    (ids == &prompts.clean ? found.clean : found.counterfactual) = at::cat(calls);
  }
  found.flops = flops.count;
  return found;
}

}  // namespace tributary
