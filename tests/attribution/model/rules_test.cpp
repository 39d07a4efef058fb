// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Replacement rules on a whole network: forward values untouched to the last bit, derivatives as the rules say, and the
// conservation law that only all four together keep. Each rule's own formula: functions_*_test.cpp.
#include "attribution/model/rules.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/engine_run.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

EngineRun run_of(const Transformer& model, const Prompts& prompts, Rules rules) {
  return engine_run(model, whole_batch(model.embed(prompts.clean)), model.logit_directions(prompts.tokens), rules);
}

/// |sum over tokens and dimensions of e dm/de - m| / |m| [pair]
at::Tensor conservation_error(const Transformer& model, const Prompts& prompts, Rules rules) {
  const EngineRun run = run_of(model, prompts, rules);
  const at::Tensor conserved = (model.embed(prompts.clean) * run.stream_gradients[0]).sum({1, 2});
  return ((conserved - run.metric) / run.metric).abs();
}

TEST(Conservation, AllFourRulesOnABiasFreeGatedModel) {
  for (const Kind kind : {Kind::llama, Kind::mistral}) {
    EXPECT_LE(largest(conservation_error(tiny_model(kind), tiny_prompts(4, 6), Rules::all())), 1e-9) << name_of(kind);
  }
}

TEST(Conservation, HoldsInFloat32ToItsRounding) {
  const Transformer model = tiny_model(Kind::llama, at::kFloat);
  EXPECT_LE(largest(conservation_error(model, tiny_prompts(4, 6, at::kFloat), Rules::all())), 1e-4);
}

/// Σ b · dm/db over all biases [pair].
at::Tensor bias_share(const Transformer& model, const Prompts& prompts, Rules rules) {
  const LogitDirections directions = model.logit_directions(prompts.tokens);
  const EngineRun run = run_of(model, prompts, rules);
  const std::int64_t pairs = prompts.clean.size(0);
  at::Tensor share = at::zeros({pairs}, at::kDouble);
  BackwardOptions down;
  down.rules = rules;
  down.biases = [&](const at::Tensor& bias, const at::Tensor& gradient) {
    share.add_(at::matmul(gradient, bias).view({pairs, -1}).sum(1));
  };
  model.backward(run.pass, {0, pairs}, model.metric_gradient(run.pass.resid, directions, down), down);
  return share;
}

/// The same model with all biases times a factor.
Transformer with_scaled_biases(const Transformer& model, double factor) {
  Weights weights = model.weights();
  const auto scale = [factor](at::Tensor& bias) {
    if (bias.defined()) bias = bias * factor;
  };
  scale(weights.final_norm_bias);
  for (LayerWeights& layer : weights.layers) {
    for (at::Tensor LayerWeights::*bias :
         {&LayerWeights::attention_norm_bias, &LayerWeights::mlp_norm_bias, &LayerWeights::qkv_bias,
          &LayerWeights::output_bias, &LayerWeights::expand_bias, &LayerWeights::down_bias}) {
      scale(layer.*bias);
    }
  }
  return {model.architecture(), std::move(weights)};
}

class Biased : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Conservation, Biased, ::testing::Values(Kind::qwen, Kind::gpt2, Kind::patchwork, Kind::neox),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(Biased, BiasesTakeTheirShareExactly) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(4, 6);
  const EngineRun run = run_of(model, prompts, Rules::all());
  const at::Tensor embeddings = (run.streams[0] * run.stream_gradients[0]).sum({1, 2});  // with learned positions
  const at::Tensor biases = bias_share(model, prompts, Rules::all());
  EXPECT_LE(largest(embeddings + biases - run.metric), 1e-9);
  EXPECT_GT(biases.abs().min().item<double>(), 1e-6);
}

TEST_P(Biased, PlainDerivativesByBiasesAreThoseOfDifferences) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(4, 6);
  constexpr double h = 1e-5;
  const auto metric = [&](double factor) { return run_of(with_scaled_biases(model, factor), prompts, {}).metric; };
  const at::Tensor differences = (metric(1 + h) - metric(1 - h)) / (2 * h);
  EXPECT_LE(largest(bias_share(model, prompts, {}) - differences), 1e-7);
}

TEST(Conservation, HoldsUnderCapsAndNormsBehindWithTheSoftcapRule) {
  for (const Kind kind : {Kind::gemma, Kind::olmo}) {
    const Rules rules = kind == Kind::gemma ? Rules::all().with(Rule::softcap) : Rules::all();
    EXPECT_LE(largest(conservation_error(tiny_model(kind), tiny_prompts(4, 6), rules)), 1e-9) << name_of(kind);
  }
}

class OneRule : public ::testing::TestWithParam<Rule> {};
INSTANTIATE_TEST_SUITE_P(Conservation, OneRule,
                         ::testing::Values(Rule::norm, Rule::activation, Rule::half, Rule::attention),
                         [](const auto& rule) { return name_of(rule.param); });

TEST_P(OneRule, RemovedBreaksConservation) {
  const at::Tensor error =
      conservation_error(tiny_model(Kind::llama), tiny_prompts(4, 6), Rules::all().without(GetParam()));
  EXPECT_GT(error.min().item<double>(), 1e-4);
}

TEST_P(OneRule, AloneChangesGradientsAndNoBitOfTheForwardPass) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(4, 6);
  const EngineRun plain = run_of(model, prompts, {});
  const EngineRun alone = run_of(model, prompts, Rules().with(GetParam()));
  expect_same_bits(plain.metric, alone.metric);
  expect_same_bits(plain.pass.resid, alone.pass.resid);
  EXPECT_FALSE(at::allclose(plain.stream_gradients[0], alone.stream_gradients[0]));
  // The last layer's neurons see the final norm only.
  EXPECT_EQ(at::allclose(plain.neuron_gradients.back(), alone.neuron_gradients.back()), GetParam() != Rule::norm);
}

class AnyRules : public ::testing::TestWithParam<std::tuple<Kind, int>> {};
INSTANTIATE_TEST_SUITE_P(Rules, AnyRules,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::mistral, Kind::gpt2),
                                            ::testing::Range(1, 16)),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param)) + std::to_string(std::get<1>(one.param));
                         });

TEST_P(AnyRules, AllGradientsAreThoseOfTheReference) {
  const auto [kind, bits] = GetParam();
  Rules rules;
  for (std::size_t i = 0; i < all_rules.size(); ++i) {
    if ((bits >> i) % 2 == 1) rules = rules.with(all_rules[i]);
  }
  const Transformer model = tiny_model(kind);
  const Prompts prompts = tiny_prompts(3, 6);
  const EngineRun run = run_of(model, prompts, rules);
  const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens, rules);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    expect_close(run.neuron_gradients[layer], last_of(truth.neuron_gradients[layer], run.neuron_gradients[layer]));
    expect_close(run.stream_gradients[layer], truth.stream_gradients[layer]);
  }
}

TEST(Fired, CountsEverySiteOfOnePass) {
  const Fired llama = count_fired(tiny_model(Kind::llama), 3);
  EXPECT_EQ(llama.of(Rule::norm), 7);  // two a layer, and the final one
  EXPECT_EQ(llama.of(Rule::activation), 3);
  EXPECT_EQ(llama.of(Rule::half), 3);
  EXPECT_EQ(llama.of(Rule::attention), 3);
  const Fired gpt2 = count_fired(tiny_model(Kind::gpt2), 3);
  EXPECT_EQ(gpt2.of(Rule::half), 0);
  EXPECT_EQ(gpt2.of(Rule::activation), 3);
  EXPECT_EQ(llama.only({}).of(Rule::norm), 0);
  const Fired norm = llama.only(Rules().with(Rule::norm));
  EXPECT_EQ(norm.of(Rule::norm), 7);
  EXPECT_EQ(norm.of(Rule::attention), 0);
}

TEST(Fired, IsNotCountedWhereTheBackwardPassDoesNotReach) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(2, 5);
  const LogitDirections directions = model.logit_directions(prompts.tokens);
  const EngineRun whole = run_of(model, prompts, {});
  Batch above;
  above.length = above.suffix = 5;
  above.entries = {{2, whole.streams[2]}};
  const EngineRun part = engine_run(model, above, directions, Rules::all());
  EXPECT_EQ(part.fired.of(Rule::norm), 3);
  EXPECT_EQ(part.fired.of(Rule::half), 1);
}

}  // namespace
}  // namespace tributary::testing
