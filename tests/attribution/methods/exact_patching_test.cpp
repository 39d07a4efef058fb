// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/exact_patching.h"
#include "attribution/nodes/noise.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <tuple>

#include "common/errors.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::exact_patching {
namespace {

constexpr std::int64_t pairs = 3;
constexpr std::int64_t length = 5;

/// m with one neuron of a run set, at one position or (-1) at all, by the reference: one forward pass.
at::Tensor with_neuron(const AutogradModel& model, const at::Tensor& embeddings, const MetricTokens& tokens,
                       const Node& neuron, const at::Tensor& from) {
  return model
      .run(embeddings, tokens, {},
           [&](std::int64_t layer, const at::Tensor& a) {
             if (layer != neuron.layer) return a;
             at::Tensor changed = a.clone();
             for (std::int64_t t = 0; t < length; ++t) {
               if (neuron.position < 0 || neuron.position == t) {
                 changed.select(1, t).select(1, neuron.index).copy_(from.select(1, t).select(1, neuron.index));
               }
             }
             return changed;
           })
      .metric;
}

class ExactPatching : public ::testing::TestWithParam<std::tuple<Kind, Direction, Positions, std::int64_t>> {};
INSTANTIATE_TEST_SUITE_P(
    Effects, ExactPatching,
    ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo, Kind::neox),
                       ::testing::Values(Direction::clean, Direction::denoise),
                       ::testing::Values(Positions::keep, Positions::sum), ::testing::Values(0, 2, length - 1)));

TEST_P(ExactPatching, IsOneForwardPassWithTheNeuronReplaced) {
  const auto& [kind, direction, positions, shared] = GetParam();
  const Transformer model = tiny_model(kind);
  Prompts prompts = tiny_prompts(pairs, length, at::kDouble, shared);
  prompts.shared = shared;
  MethodRequest request = request_of("exact-patching");
  request.direction = direction;
  request.positions = positions;
  Task task = task_of(request);
  for (const std::int64_t layer : {0, 1, 2}) {
    for (const std::int64_t index : {0, 7, 19}) {
      for (const std::int64_t position : {0, 2, 4}) {
        if (positions == Positions::keep || position == 0) {
          task.options.sample.push_back({layer, positions == Positions::keep ? position : -1, index});
        }
      }
    }
  }
  const UnitScores unit = unit_of(model, task, prompts);
  const AutogradModel reference(model);
  const at::Tensor x = model.embed(prompts.clean), y = model.embed(prompts.counterfactual);
  const Truth clean = reference.run(x, prompts.tokens), patch = reference.run(y, prompts.tokens);
  for (const Node& neuron : task.options.sample) {
    const auto layer = static_cast<std::size_t>(neuron.layer);
    const at::Tensor effect =
        direction == Direction::clean
            ? clean.metric - with_neuron(reference, x, prompts.tokens, neuron, patch.neurons[layer])
            : with_neuron(reference, y, prompts.tokens, neuron, clean.neurons[layer]) - patch.metric;
    EXPECT_NEAR(unit.scores[neuron.layer][std::max<std::int64_t>(neuron.position, 0)][neuron.index].item<double>(),
                effect.sum().item<double>(), 1e-10)
        << "layer " << neuron.layer << " position " << neuron.position << " neuron " << neuron.index;
  }
  EXPECT_EQ(at::isnan(unit.scores).logical_not().sum().item<std::int64_t>(),
            static_cast<std::int64_t>(task.options.sample.size()));
}

TEST(Effects, ExactPatchingTakesItsBaseline) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  const AutogradModel reference(model);
  const at::Tensor x = model.embed(prompts.clean);
  const Truth clean = reference.run(x, prompts.tokens);
  const at::Tensor mean = at::randn({3, length, 20}, at::kDouble);
  for (const Baseline baseline : {Baseline::zero, Baseline::mean}) {
    MethodRequest request = request_of("exact-patching");
    request.baseline = baseline;
    Task task = task_of(request);
    task.options.sample = {{1, 2, 4}, {2, 4, 0}};
    task.options.mean = {{Site::neurons, mean}};
    const UnitScores unit = unit_of(model, task, prompts);
    for (const Node& neuron : task.options.sample) {
      const at::Tensor from = (baseline == Baseline::mean ? mean[neuron.layer] : at::zeros({length, 20}, at::kDouble))
                                  .expand({pairs, length, 20});
      const at::Tensor effect = clean.metric - with_neuron(reference, x, prompts.tokens, neuron, from);
      EXPECT_NEAR(unit.scores[neuron.layer][neuron.position][neuron.index].item<double>(), effect.sum().item<double>(),
                  1e-10);
    }
  }
}

TEST(Effects, NoiseDependsOnSeedAndPlaceOnly) {
  const at::Tensor one = noise(tiny_table(), 5, 1);
  expect_same_bits(one, noise(tiny_table(), 5, 1));
  EXPECT_FALSE(at::equal(one, noise(tiny_table(), 5, 2)));
  EXPECT_GE(one.min().item<float>(), -1);
  EXPECT_LT(one.max().item<float>(), 1);
  EXPECT_LT(std::abs(one.mean().item<float>()), 0.2);
}

TEST(Effects, SampledNeuronsAreDistinctSeededAndInEveryLayer) {
  const NodeTable four_layers{.layers = 4, .nodes = 20};
  const std::vector<Node> sample = sample_nodes(four_layers, 5, 40, 7, Positions::keep);
  ASSERT_EQ(sample.size(), 40U);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    EXPECT_EQ(sample[i].layer, static_cast<std::int64_t>(i) / 10);
    if (i > 0 && sample[i].layer == sample[i - 1].layer) {
      EXPECT_LT(sample[i - 1].position * 20 + sample[i - 1].index, sample[i].position * 20 + sample[i].index);
    }
  }
  const std::vector<Node> other = sample_nodes(four_layers, 5, 40, 8, Positions::keep);
  EXPECT_NE(sample[0].position * 20 + sample[0].index + sample[1].index,
            other[0].position * 20 + other[0].index + other[1].index);
  EXPECT_THROW(sample_nodes({.layers = 1, .nodes = 5}, 1, 6, 0, Positions::keep), ContractViolation);
}

}  // namespace
}  // namespace tributary::testing::exact_patching
