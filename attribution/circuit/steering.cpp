// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/steering.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "attribution/methods/detail/staging.h"

namespace tributary {
namespace {

/// A row of logits is as long as the vocabulary, so few of them go into one call.
constexpr std::int64_t most_sequences = 64;

/// a [sequence, last positions, neuron] of a layer, multiplied in place by factors [sequence].
void multiply(at::Tensor a, const std::vector<Neuron>& neurons, std::int64_t layer, const at::Tensor& factors,
              std::int64_t length) {
  const std::int64_t before = length - a.size(1);
  for (const Neuron& neuron : neurons) {
    if (neuron.layer != layer) continue;
    at::Tensor here = a.select(2, neuron.index);  // [sequence, pos]
    if (neuron.position < 0) {
      here.mul_(factors.unsqueeze(1));
    } else if (neuron.position >= before) {  // earlier ones no longer reach the metric
      here.select(1, neuron.position - before).mul_(factors);
    }
  }
}

}  // namespace

SteeringUnit steer(const Transformer& model, const Prompts& prompts, const SteeringInputs& inputs,
                   const Batching& batching) {
  const c10::InferenceMode inference;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t length = prompts.clean.size(1);
  const at::Tensor directions = model.directions(metric_tokens(model, prompts, batching));
  const at::Tensor embeddings = model.embed(prompts.clean);
  Flops flops;
  // One row a pair and factor, the unsteered ones first.
  std::vector<double> factors{1};
  factors.insert(factors.end(), inputs.factors.begin(), inputs.factors.end());
  const std::int64_t rows = pairs * std::ssize(factors);
  const std::int64_t piece = std::min(batching.sequences(length), most_sequences);
  std::vector<at::Tensor> metric, log_probability;  // a call each [row], [row, vocabulary]
  for (std::int64_t first = 0; first < rows; first += piece) {
    batching.pause();
    std::vector<std::int64_t> pair;
    std::vector<double> factor;
    for (std::int64_t row = first; row < std::min(rows, first + piece); ++row) {
      pair.push_back(row % pairs);
      factor.push_back(factors[static_cast<std::size_t>(row / pairs)]);
    }
    const at::Tensor of_row = detail::staged(pair, model.options());
    const at::Tensor amounts = detail::staged(factor, model.options()).to(model.options().dtype());
    ForwardOptions options;
    options.flops = &flops;
    options.neurons = [&](std::int64_t layer, const at::Tensor& a) {
      multiply(a, inputs.neurons, layer, amounts, length);
    };
    const Pass pass = model.forward(whole_batch(at::index_select(embeddings, 0, of_row)), options);
    metric.push_back(model.metric(pass.stream, at::index_select(directions, 0, of_row)).to(at::kDouble).cpu());
    log_probability.push_back(at::log_softmax(model.logits(pass.stream).select(1, 0).to(model.score_type()), -1));
  }
  const at::Tensor said = at::cat(log_probability).unflatten(0, {-1, pairs});  // [1 + factor, pair, vocabulary]
  const at::Tensor steered = said.narrow(0, 1, said.size(0) - 1);
  const at::Tensor unsteered = said.narrow(0, 0, 1);
  const at::Tensor answers = inputs.answers.to(said.device());
  const at::Tensor indices = answers.clamp_min(0).unsqueeze(0).expand({steered.size(0), -1, -1});
  const auto [log_top, tokens] = at::topk(steered, inputs.top);
  SteeringUnit unit;
  unit.metric = at::cat(metric).unflatten(0, {-1, pairs}).narrow(0, 1, steered.size(0));
  unit.probability = at::gather(steered, 2, indices)
                         .exp()
                         .to(at::kDouble)
                         .masked_fill(answers.lt(0), std::numeric_limits<double>::quiet_NaN())
                         .cpu();
  unit.divergence = (unsteered.exp() * (unsteered - steered)).sum(-1).to(at::kDouble).cpu();
  unit.tokens = tokens.cpu();
  unit.top_probability = log_top.exp().to(at::kDouble).cpu();
  unit.flops = flops.count;
  return unit;
}

}  // namespace tributary
