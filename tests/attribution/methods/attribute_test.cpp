// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Methods on small transformers against identities and finite differences. Element-wise comparison with an independent
// implementation and with Captum is the business of tests/parity.
#include "attribution/methods/attribute.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "attribution/methods/integrate.h"
#include "common/errors.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

constexpr std::int64_t pairs = 3;
constexpr std::int64_t length = 5;

MethodRequest request_of(const std::string& name) {
  MethodRequest request;
  request.method = name;
  return request;
}

MethodRequest request_of(const std::string& name, Quadrature rule, std::optional<int> steps) {
  MethodRequest request = request_of(name);
  request.quadrature = rule;
  request.steps = steps;
  return request;
}

UnitScores scores_of(const Transformer& model, const MethodRequest& request, UnitOptions options = {}) {
  if (options.layers.end == 0) options.layers = {0, model.architecture().layers};
  return attribute({&model, &model}, resolve_method(request), tiny_prompts(pairs, length), options);
}

double largest(const at::Tensor& t) { return t.abs().max().item<double>(); }

TEST(Attribute, IgActivationsSumToTheLayersEffect) {
  const Transformer model = tiny_model(Kind::llama);
  const UnitScores fine = scores_of(model, request_of("ig-acts", Quadrature::gauss_legendre, 60));
  const UnitScores coarse = scores_of(model, request_of("ig-acts", Quadrature::right, 4));
  ASSERT_EQ(fine.residual.sizes(), (at::IntArrayRef{pairs, 3}));
  EXPECT_LE(largest(fine.residual), 1e-6);
  EXPECT_GT(largest(coarse.residual), 1e-3);
  EXPECT_FALSE(fine.gap.defined());
}

TEST(Attribute, DenoisingSumsToTheEffectOnTheCounterfactualRun) {
  const Transformer model = tiny_model(Kind::gpt2);
  MethodRequest request = request_of("ig-acts", Quadrature::gauss_legendre, 60);
  request.direction = Direction::denoise;
  const UnitScores denoised = scores_of(model, request);
  EXPECT_LE(largest(denoised.residual), 1e-6);
  request.direction = Direction::clean;
  EXPECT_FALSE(at::allclose(denoised.scores, scores_of(model, request).scores));
}

TEST(Attribute, InputIgSumsToTheMetricsDifference) {
  const Transformer model = tiny_model(Kind::llama);
  const UnitScores unit = scores_of(model, request_of("input-ig", Quadrature::gauss_legendre, 400));
  const at::Tensor difference = unit.metric.select(1, 0) - unit.metric.select(1, 1);
  EXPECT_TRUE(at::allclose(unit.inputs.sum(1), difference, 0, 1e-6));
  EXPECT_LE(largest(unit.residual), 1e-6);
  EXPECT_EQ(unit.scores.sizes(), (at::IntArrayRef{1, length, 1}));
  EXPECT_GT(largest(unit.inputs.select(1, 1)), 0);
  EXPECT_EQ(largest(unit.inputs.select(1, 0)), 0);  // that token is the same in both prompts
}

TEST(Attribute, ConductanceConvergesToSecondOrder) {
  const Transformer model = tiny_model(Kind::llama);
  const at::Tensor coarse = scores_of(model, request_of("conductance", Quadrature::trapezoid, 40)).scores;
  const at::Tensor fine = scores_of(model, request_of("conductance", Quadrature::trapezoid, 320)).scores;
  const at::Tensor left = scores_of(model, request_of("conductance", Quadrature::left, 40)).scores;
  EXPECT_LE(largest(coarse - fine), 0.02 * largest(fine));
  EXPECT_LE(largest(coarse - fine) * 3, largest(left - fine));  // second order beats first
}

TEST(Attribute, AtpIsTheDirectionalDerivativeAtTheCleanPrompt) {
  const Transformer model = tiny_model(Kind::gpt2);
  const Prompts prompts = tiny_prompts(pairs, length);
  const RecordedRun clean = record_run(model, model.embed(prompts.clean), prompts.tokens, {});
  const RecordedRun patch = record_run(model, model.embed(prompts.counterfactual), prompts.tokens, {});
  const UnitScores atp = scores_of(model, request_of("atp"));
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const at::Tensor a = clean.activations[layer];
    const at::Tensor delta = a - patch.activations[layer];
    const double h = 1e-5;
    const at::Tensor slope = (metric_with_layer(model, clean, layer, a + h * delta, prompts.tokens, {}) -
                              metric_with_layer(model, clean, layer, a - h * delta, prompts.tokens, {})) /
                             (2 * h);
    EXPECT_NEAR(atp.scores[layer].sum().item<double>(), slope.sum().item<double>(), 1e-7);
    // The gap says how far that is from the true effect.
    const at::Tensor effect =
        clean.metric - metric_with_layer(model, clean, layer, patch.activations[layer], prompts.tokens, {});
    EXPECT_NEAR(atp.gap.select(1, layer).sum().item<double>(), (slope - effect).sum().item<double>(), 1e-7);
  }
  EXPECT_FALSE(atp.residual.defined());
}

TEST(Attribute, AdaptiveMeetsItsToleranceAndSpendsLessOnSmoothLayers) {
  const Transformer model = tiny_model(Kind::llama);
  MethodRequest request = request_of("ig-acts", Quadrature::adaptive, std::nullopt);
  request.tolerance = 1e-3;
  request.max_points = 1025;
  const UnitScores adaptive = scores_of(model, request);
  const UnitScores fine = scores_of(model, request_of("ig-acts", Quadrature::gauss_legendre, 100));
  EXPECT_EQ(largest(adaptive.converged - 1), 0);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    EXPECT_LE((adaptive.scores[layer] - fine.scores[layer]).abs().sum().item<double>(),
              0.05 * fine.scores[layer].abs().sum().item<double>());
  }
  EXPECT_GE(adaptive.evaluations.min().item<double>(), 3);
  request.max_points = 3;
  EXPECT_LT(largest(scores_of(model, request).converged.min()), 1);  // says so when it could not
}

TEST(Attribute, AdaptiveUnderRulesNeedsNoTrueDifference) {
  const Transformer model = tiny_model(Kind::llama);
  MethodRequest request = request_of("ig-acts", Quadrature::adaptive, std::nullopt);
  request.rule_preset = "relp";
  request.max_points = 1025;
  UnitOptions options;
  options.layers = {0, 3};
  options.gap = UnitOptions::Gap::skip;
  const UnitScores adaptive = scores_of(model, request, options);
  EXPECT_EQ(largest(adaptive.converged - 1), 0);
  EXPECT_FALSE(adaptive.gap.defined());
  request.quadrature = Quadrature::gauss_legendre;
  request.steps = 100;
  const at::Tensor fine = scores_of(model, request).scores;
  EXPECT_LE((adaptive.scores - fine).abs().sum().item<double>(), 0.05 * fine.abs().sum().item<double>());
}

TEST(Attribute, ThePilotChoosesTheCheapestRuleThatMeetsTheTolerance) {
  const Transformer model = tiny_model(Kind::llama);
  MethodRequest request = request_of("ig-acts", Quadrature::pilot, std::nullopt);
  UnitOptions options;
  options.layers = {0, 3};
  const Method method = resolve_method(request);
  const at::Tensor chosen = pilot({&model, &model}, method, tiny_prompts(pairs, length), options);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const auto choice = chosen[pair][layer].item<std::int64_t>();
      const auto error_of = [&](std::int64_t candidate) {
        const PilotCandidate& rule = pilot_candidates()[static_cast<std::size_t>(candidate)];
        return scores_of(model, request_of("ig-acts", rule.rule, rule.points))
            .residual[pair][layer]
            .abs()
            .item<double>();
      };
      const Prompts prompts = tiny_prompts(pairs, length);
      const RecordedRun clean = record_run(model, model.embed(prompts.clean), prompts.tokens, {});
      const RecordedRun patch = record_run(model, model.embed(prompts.counterfactual), prompts.tokens, {});
      const at::Tensor effect =
          clean.metric - metric_with_layer(model, clean, layer, patch.activations[layer], prompts.tokens, {});
      const double far = (clean.metric - patch.metric)[pair].abs().item<double>();
      const double allowed = 0.01 * std::max(effect[pair].abs().item<double>(), 0.01 * far);
      EXPECT_LE(error_of(choice), allowed);
      if (choice > 0) {
        EXPECT_GT(error_of(choice - 1), allowed);
      }
    }
  }
}

TEST(Attribute, ExactPatchingIsOneForwardANeuron) {
  const Transformer model = tiny_model(Kind::llama);
  UnitOptions options;
  options.layers = {0, 3};
  options.sample = {{1, 2, 4}, {2, 4, 0}};
  const UnitScores unit = scores_of(model, request_of("exact-patching"), options);
  const Prompts prompts = tiny_prompts(pairs, length);
  const RecordedRun clean = record_run(model, model.embed(prompts.clean), prompts.tokens, {});
  const RecordedRun patch = record_run(model, model.embed(prompts.counterfactual), prompts.tokens, {});
  at::Tensor a = clean.activations[1].clone();
  a.select(1, 2).select(1, 4).copy_(patch.activations[1].select(1, 2).select(1, 4));
  const at::Tensor moved = metric_with_layer(model, clean, 1, a, prompts.tokens, {});
  EXPECT_NEAR(unit.scores[1][2][4].item<double>(), (clean.metric - moved).sum().item<double>(), 1e-12);
  EXPECT_NE(unit.scores[2][4][0].item<double>(), 0);
  EXPECT_EQ(at::isnan(unit.scores).logical_not().sum().item<std::int64_t>(), 2);
}

TEST(Attribute, SampledNeuronsAreDistinctSeededAndInEveryLayer) {
  const std::vector<Neuron> sample = sample_neurons(4, 5, 20, 40, 7, Positions::keep);
  ASSERT_EQ(sample.size(), 40U);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    EXPECT_EQ(sample[i].layer, static_cast<std::int64_t>(i) / 10);
    if (i > 0 && sample[i].layer == sample[i - 1].layer) {
      EXPECT_LT(sample[i - 1].position * 20 + sample[i - 1].index, sample[i].position * 20 + sample[i].index);
    }
  }
  const std::vector<Neuron> other = sample_neurons(4, 5, 20, 40, 8, Positions::keep);
  EXPECT_NE(sample[0].position * 20 + sample[0].index + sample[1].index,
            other[0].position * 20 + other[0].index + other[1].index);
  EXPECT_THROW(sample_neurons(1, 1, 5, 6, 0, Positions::keep), UserError);
}

TEST(Attribute, NoBitDependsOnRowsPerBatch) {
  const Transformer model = tiny_model(Kind::llama, at::kFloat);
  for (const std::string name : {"relp", "conductance", "ig-acts", "exact-patching"}) {
    UnitOptions options;
    options.layers = {0, 3};
    options.sample = {{0, 1, 2}, {0, 2, 3}, {2, 3, 4}};
    options.batching = {8};
    const UnitScores few = scores_of(model, request_of(name), options);
    options.batching = {1024};
    const UnitScores many = scores_of(model, request_of(name), options);
    EXPECT_TRUE(at::equal(few.scores.nan_to_num(-7), many.scores.nan_to_num(-7))) << name;
  }
}

TEST(Attribute, AUnitOfSomeLayersGivesThoseLayersRows) {
  const Transformer model = tiny_model(Kind::llama);
  for (const std::string name : {"relp", "ig-inputs", "ig-acts", "delta"}) {
    const at::Tensor all = scores_of(model, request_of(name)).scores;
    UnitOptions options;
    options.layers = {1, 3};
    EXPECT_TRUE(at::equal(scores_of(model, request_of(name), options).scores, all.narrow(0, 1, 2))) << name;
  }
}

TEST(Attribute, AggregatesPerPairSummingPositionsFirst) {
  const Transformer model = tiny_model(Kind::llama);
  MethodRequest request = request_of("atp");
  const at::Tensor kept = scores_of(model, request).scores;
  request.positions = Positions::sum;
  EXPECT_TRUE(at::allclose(scores_of(model, request).scores, kept.sum(1, true), 1e-12, 1e-12));
  request.aggregate = Aggregate::mean_abs;
  EXPECT_GE((scores_of(model, request).scores - kept.sum(1, true).abs()).min().item<double>(), -1e-12);
}

TEST(Attribute, TheAuditComparesWithTwiceThePoints) {
  const Transformer model = tiny_model(Kind::llama);
  UnitOptions options;
  options.layers = {0, 3};
  options.audit = {0, 1, 0};
  const UnitScores unit = scores_of(model, request_of("ig-acts", Quadrature::right, 8), options);
  EXPECT_TRUE(at::isnan(unit.audit[0]).all().item<bool>());
  EXPECT_GT(unit.audit[1].min().item<double>(), 0);
  EXPECT_LT(unit.audit[1].max().item<double>(), 0.5);
}

TEST(Methods, RefuseWhatHasNoMeaning) {
  MethodRequest denoised = request_of("conductance");
  denoised.direction = Direction::denoise;
  EXPECT_THROW(resolve_method(denoised), UserError);
  EXPECT_THROW(resolve_method(request_of("atp", Quadrature::right, std::nullopt)), UserError);
  EXPECT_THROW(resolve_method(request_of("conductance", Quadrature::midpoint, 10)), UserError);
  MethodRequest zero = request_of("input-ig", Quadrature::left, 10);
  zero.baseline = Baseline::zero;
  EXPECT_THROW(resolve_method(zero), UserError);
  zero.quadrature = Quadrature::right;
  EXPECT_NO_THROW(resolve_method(zero));
  EXPECT_THROW(resolve_method(request_of("ig-act")), UserError);
  MethodRequest captum = request_of("conductance", Quadrature::simpson, std::nullopt);
  captum.form = ConductanceForm::captum;
  EXPECT_THROW(resolve_method(captum), UserError);
  MethodRequest pilot = request_of("ig-acts", Quadrature::pilot, std::nullopt);
  pilot.rule_preset = "relp";
  EXPECT_THROW(resolve_method(pilot), UserError);
}

TEST(Methods, PublishedNamesAreTheirRules) {
  EXPECT_EQ(resolve_method(request_of("relp")).rules, Rules::all());
  EXPECT_EQ(resolve_method(request_of("relp-jafari")).rules, Rules::all().without(Rule::attention));
  EXPECT_EQ(resolve_method(request_of("no-half")).rules, Rules::all().without(Rule::half));
  MethodRequest one = request_of("atp");
  one.rules[Rule::norm] = true;
  EXPECT_EQ(resolve_method(one).rules, Rules().with(Rule::norm));
  EXPECT_EQ(resolve_method(one).asked, std::vector<Rule>{Rule::norm});
}

}  // namespace
}  // namespace tributary::testing
