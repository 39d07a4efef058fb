// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Replacement rules: forward values untouched to the last bit, derivatives as the rules say, and the conservation law
// that only all four together keep.
#include "attribution/model/rules.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "attribution/model/functions.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

using torch::autograd::grad;

at::Tensor leaf(at::IntArrayRef shape) { return at::randn(shape, at::kDouble).requires_grad_(); }

at::Tensor gradient_of(const at::Tensor& y, const at::Tensor& x, const at::Tensor& direction) {
  return grad({y}, {x}, {direction})[0];
}

void expect_same(const at::Tensor& a, const at::Tensor& b) { EXPECT_LE((a - b).abs().max().item<double>(), 1e-12); }

TEST(Functions, PlainNormsDifferentiateAsAutogradDoes) {
  const at::Tensor x = leaf({6, 10});
  const at::Tensor w = at::randn({10}, at::kDouble);
  const at::Tensor b = at::randn({10}, at::kDouble);
  const at::Tensor direction = at::randn({6, 10}, at::kDouble);
  const at::Tensor rms = normalise(x, w, {}, NormKind::rms, 1e-5, Derivative::plain);
  const at::Tensor rms_reference = x / (x.square().mean(-1, true) + 1e-5).sqrt() * w;
  expect_same(rms, rms_reference);
  expect_same(gradient_of(rms, x, direction), gradient_of(rms_reference, x, direction));
  const at::Tensor layer = normalise(x, w, b, NormKind::layer, 1e-5, Derivative::plain);
  const at::Tensor layer_reference = at::layer_norm(x, {10}, w, b, 1e-5);
  expect_same(layer, layer_reference);
  expect_same(gradient_of(layer, x, direction), gradient_of(layer_reference, x, direction));
}

TEST(Functions, TheNormRuleHoldsTheDenominatorAndKeepsTheCentring) {
  const at::Tensor x = leaf({6, 10});
  const at::Tensor w = at::randn({10}, at::kDouble);
  const at::Tensor direction = at::randn({6, 10}, at::kDouble);
  const at::Tensor rms = x / (x.square().mean(-1, true) + 1e-5).sqrt().detach() * w;
  expect_same(gradient_of(normalise(x, w, {}, NormKind::rms, 1e-5, Derivative::replaced), x, direction),
              gradient_of(rms, x, direction));
  const at::Tensor centred = x - x.mean(-1, true);
  const at::Tensor layer = centred / (centred.square().mean(-1, true) + 1e-5).sqrt().detach() * w;
  expect_same(gradient_of(normalise(x, w, {}, NormKind::layer, 1e-5, Derivative::replaced), x, direction),
              gradient_of(layer, x, direction));
}

class Activations : public ::testing::TestWithParam<Activation> {};
INSTANTIATE_TEST_SUITE_P(Functions, Activations,
                         ::testing::Values(Activation::silu, Activation::gelu_erf, Activation::gelu_tanh,
                                           Activation::relu));

TEST_P(Activations, TheRuleHoldsTheCoefficient) {
  const at::Tensor z = leaf({4, 9});
  const at::Tensor direction = at::randn({4, 9}, at::kDouble);
  const at::Tensor y = activate(z, GetParam(), Derivative::replaced);
  EXPECT_TRUE(at::equal(y, activate(z, GetParam(), Derivative::plain)));
  expect_same(gradient_of(y, z, direction), direction * (y / z).detach());
}

TEST_P(Activations, ThePlainDerivativeIsTheSlope) {
  const at::Tensor z = leaf({4, 9});
  const at::Tensor one = at::ones({4, 9}, at::kDouble);
  const double h = 1e-6;
  const at::Tensor slope =
      (activate(z + h, GetParam(), Derivative::plain) - activate(z - h, GetParam(), Derivative::plain)) / (2 * h);
  EXPECT_LE((gradient_of(activate(z, GetParam(), Derivative::plain), z, one) - slope).abs().max().item<double>(), 1e-8);
}

TEST(Functions, TheHalfRuleGivesEachFactorHalf) {
  const at::Tensor s = leaf({3, 5});
  const at::Tensor u = leaf({3, 5});
  const at::Tensor direction = at::randn({3, 5}, at::kDouble);
  const auto plain = grad({gate(s, u, Derivative::plain)}, {s, u}, {direction});
  const auto halved = grad({gate(s, u, Derivative::replaced)}, {s, u}, {direction});
  expect_same(plain[0], direction * u);
  expect_same(plain[1], direction * s);
  expect_same(halved[0], direction * u * 0.5);
  expect_same(halved[1], direction * s * 0.5);
}

/// m and its gradient at the embeddings and at every layer's neurons, under some rules.
struct Derivatives {
  at::Tensor metric;
  std::vector<at::Tensor> gradients;  //!< embeddings first
  at::Tensor conserved;               //!< sum over tokens and dimensions of e dm/de, [pair]
};

Derivatives derivatives(const Transformer& model, const Prompts& prompts, Rules rules) {
  const at::Tensor e = model.embed(prompts.clean).requires_grad_();
  std::vector<at::Tensor> watched = {e};
  PassOptions pass;
  pass.rules = rules;
  pass.neurons = [&](std::int64_t, const at::Tensor& a) {
    watched.push_back(a);
    return a;
  };
  const BatchShape shape{e.size(0), e.size(1)};
  const at::Tensor m = model.metric(model.run(e, pass), shape, prompts.tokens, pass);
  Derivatives d{m.detach(), grad({m}, watched, {at::ones_like(m)}), {}};
  d.conserved = (e.detach() * d.gradients[0]).sum({1, 2});
  return d;
}

TEST(Conservation, AllFourRulesOnABiasFreeGatedModel) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(4, 6);
  const Derivatives all = derivatives(model, prompts, Rules::all());
  const at::Tensor error = ((all.conserved - all.metric) / all.metric).abs();
  EXPECT_LE(error.max().item<double>(), 1e-9);
}

class OneRule : public ::testing::TestWithParam<Rule> {};
INSTANTIATE_TEST_SUITE_P(Conservation, OneRule,
                         ::testing::Values(Rule::norm, Rule::activation, Rule::half, Rule::attention),
                         [](const auto& rule) { return name_of(rule.param); });

TEST_P(OneRule, RemovedBreaksConservation) {
  const Transformer model = tiny_model(Kind::llama);
  const Derivatives most = derivatives(model, tiny_prompts(4, 6), Rules::all().without(GetParam()));
  EXPECT_GT(((most.conserved - most.metric) / most.metric).abs().min().item<double>(), 1e-4);
}

TEST_P(OneRule, AloneChangesGradientsAndNoBitOfTheMetric) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(4, 6);
  const Derivatives plain = derivatives(model, prompts, {});
  const Derivatives alone = derivatives(model, prompts, Rules().with(GetParam()));
  EXPECT_TRUE(at::equal(plain.metric, alone.metric));
  EXPECT_FALSE(at::allclose(plain.gradients[0], alone.gradients[0]));
  // The last layer's neurons see the final norm only.
  EXPECT_EQ(at::allclose(plain.gradients.back(), alone.gradients.back()), GetParam() != Rule::norm);
}

TEST(Fired, CountsEverySiteOfOnePass) {
  const Fired llama = count_fired(tiny_model(Kind::llama), tiny_prompts(2, 5), Rules::all());
  EXPECT_EQ(llama.of(Rule::norm), 7);  // two a layer, and the final one
  EXPECT_EQ(llama.of(Rule::activation), 3);
  EXPECT_EQ(llama.of(Rule::half), 3);
  EXPECT_EQ(llama.of(Rule::attention), 3);
  const Fired gpt2 = count_fired(tiny_model(Kind::gpt2), tiny_prompts(2, 5), Rules::all());
  EXPECT_EQ(gpt2.of(Rule::half), 0);
  EXPECT_EQ(count_fired(tiny_model(Kind::llama), tiny_prompts(2, 5), {}).of(Rule::norm), 0);
}

}  // namespace
}  // namespace tributary::testing
