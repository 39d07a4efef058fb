// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/node_effects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/attribution/tiny_model.h"

namespace tributary {
namespace {

using testing::Kind;
using testing::tiny_architecture;
using testing::tiny_model;
using testing::tiny_prompts;
using testing::tiny_weights;

const ListedNodes looked_at = {{testing::tiny_table()}, {{2, 1, 7}, {0, 4, 19}, {1, -1, 0}, {2, -1, 7}}};

/// W_U (g ⊙ w), with w centred for LayerNorm, written out for one token. w is what a unit of the neuron adds to the
/// stream, g the final norm's gain, and both have the multipliers of their kind of model.
double effect(const Transformer& model, const Node& neuron, std::int64_t token) {
  const Architecture& a = model.architecture();
  const Weights& w = model.weights();
  const BlockSpec& block = a.block(neuron.layer);
  const LayerWeights& layer = w.layers[static_cast<std::size_t>(neuron.layer)];
  std::vector<double> added;
  double mean = 0;
  for (std::int64_t d = 0; d < a.d_model; ++d) {
    double gain = block.multiplier;
    if (block.mlp_post_norm.kind != NormKind::none) {
      gain *= layer.mlp_post_norm_weight[d].item<double>() + block.mlp_post_norm.gain_offset;
    }
    added.push_back(gain * layer.down_weight[d][neuron.index].item<double>());
    mean += added.back() / static_cast<double>(a.d_model);
  }
  if (a.final_norm.kind != NormKind::layer) mean = 0;
  double sum = 0;
  for (std::int64_t d = 0; d < a.d_model; ++d) {
    const double gain = w.final_norm_weight[d].item<double>() + a.final_norm.gain_offset;
    sum += w.unembedding[token][d].item<double>() * gain * (added[static_cast<std::size_t>(d)] - mean);
  }
  return a.logit_multiplier * sum;
}

class NeuronEffects : public ::testing::TestWithParam<Kind> {};

void expect_effects(const Transformer& model) {
  const DirectEffects found = direct_effects(model, looked_at, {}, 5);
  for (std::size_t i = 0; i < looked_at.nodes.size(); ++i) {
    std::vector<double> all;
    for (std::int64_t token = 0; token < 40; ++token) all.push_back(effect(model, looked_at.nodes[i], token));
    std::vector<std::int64_t> order(all.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&all](auto a, auto b) { return all[static_cast<std::size_t>(a)] > all[static_cast<std::size_t>(b)]; });
    for (std::int64_t place = 0; place < 5; ++place) {
      const auto row = static_cast<std::int64_t>(i);
      const std::int64_t first = order[static_cast<std::size_t>(place)];
      const std::int64_t last = order[order.size() - 1 - static_cast<std::size_t>(place)];
      EXPECT_EQ(found.promoted[row][place].item<std::int64_t>(), first);
      EXPECT_EQ(found.suppressed[row][place].item<std::int64_t>(), last);
      EXPECT_NEAR(found.promoted_logit[row][place].item<double>(), all[static_cast<std::size_t>(first)], 1e-12);
      EXPECT_NEAR(found.suppressed_logit[row][place].item<double>(), all[static_cast<std::size_t>(last)], 1e-12);
    }
  }
}

TEST_P(NeuronEffects, AreTheTokensThatAColumnOfTheDownProjectionPointsAt) { expect_effects(tiny_model(GetParam())); }

TEST(NeuronEffectsScaled, HaveTheMultiplierOfTheirBlock) {
  Architecture a = tiny_architecture(Kind::llama);
  for (BlockSpec& block : a.blocks) block.multiplier = 0.35;
  expect_effects(Transformer(a, tiny_weights(a)));
}

INSTANTIATE_TEST_SUITE_P(Norms, NeuronEffects, ::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo),
                         [](const auto& kind) { return testing::name_of(kind.param); });

TEST(NeuronEffectsTies, GoToTheSmallerTokenOnBothSides) {
  const Architecture a = tiny_architecture(Kind::llama);
  Weights w = tiny_weights(a);
  w.unembedding = w.unembedding.narrow(0, 0, 1).expand({a.vocabulary, a.d_model}).contiguous();  // all tokens alike
  const DirectEffects found = direct_effects(Transformer(a, w), looked_at, {}, 3);
  EXPECT_TRUE(at::equal(found.promoted[0], at::arange(3, at::kLong)));
  EXPECT_TRUE(at::equal(found.suppressed[0], at::arange(3, at::kLong)));
}

TEST(NeuronEffectsTies, AreNotMoreThanThereAreTokens) {
  const Transformer model = tiny_model(Kind::llama);
  EXPECT_EQ(direct_effects(model, looked_at, {}, 100).promoted.size(1), 40);
}

TEST(NeuronValues, AtAllPositionsAreTheSumOfThoseAtEach) {
  const Transformer model = tiny_model(Kind::gpt2);
  const Prompts prompts = tiny_prompts(3, 6);
  ListedNodes each{looked_at.tables, {}};
  for (std::int64_t position = 0; position < 6; ++position) each.nodes.push_back({2, position, 7});
  const NodeValues apart = node_values(model, prompts, each, {});
  const NodeValues together = node_values(model, prompts, {looked_at.tables, {{2, -1, 7}}}, {});
  EXPECT_TRUE(at::allclose(apart.clean.sum(1), together.clean.select(1, 0), 1e-12));
  EXPECT_TRUE(at::allclose(apart.counterfactual.sum(1), together.counterfactual.select(1, 0), 1e-12));
  EXPECT_FALSE(at::equal(apart.clean, apart.counterfactual));
  EXPECT_GT(apart.flops, 0);
}

TEST(NeuronValues, HaveTheSameBitsInEveryBatch) {
  const Transformer model = tiny_model(Kind::llama, at::kFloat);
  Prompts prompts = tiny_prompts(5, 6, at::kFloat);
  const NodeValues whole = node_values(model, prompts, looked_at, {});
  const NodeValues cut = node_values(model, prompts, looked_at, {.rows = 12});
  EXPECT_TRUE(at::equal(whole.clean, cut.clean));
  EXPECT_TRUE(at::equal(whole.counterfactual, cut.counterfactual));
  prompts.counterfactual = at::Tensor();
  EXPECT_FALSE(node_values(model, prompts, looked_at, {}).counterfactual.defined());
}

}  // namespace
}  // namespace tributary
