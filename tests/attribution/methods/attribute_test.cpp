// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Methods on small transformers against identities and finite differences. Element-wise comparison with an independent
// implementation and with Captum is the business of tests/parity.
#include "attribution/methods/attribute.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <cmath>
#include <limits>

#include "common/errors.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::attribute {
namespace {

constexpr std::int64_t pairs = 3;
constexpr std::int64_t length = 5;

UnitScores scores_of(const Transformer& model, const MethodRequest& request) {
  return unit_of(model, task_of(request), tiny_prompts(pairs, length));
}

/// Both prompts' runs by the reference, and m with one layer's neurons set in the clean one.
struct Truths {
  AutogradModel model;
  Prompts prompts = tiny_prompts(pairs, length);
  at::Tensor embeddings;
  Truth clean, patch;

  explicit Truths(const Transformer& engine)
      : model(engine),
        embeddings(engine.embed(prompts.clean)),
        clean(model.run(embeddings, prompts.tokens)),
        patch(model.run(engine.embed(prompts.counterfactual), prompts.tokens)) {}
  [[nodiscard]] at::Tensor metric_with(std::int64_t layer, const at::Tensor& a) const {
    return model.metric_with_layer(embeddings, prompts.tokens, layer, a);
  }
  [[nodiscard]] at::Tensor effect(std::int64_t layer) const {
    return clean.metric - metric_with(layer, patch.neurons[static_cast<std::size_t>(layer)]);
  }
};

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
  const Truths truths(model);
  const UnitScores atp = unit_of(model, with_gap(task_of(request_of("atp")), pairs), tiny_prompts(pairs, length));
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const at::Tensor a = truths.clean.neurons[static_cast<std::size_t>(layer)];
    const at::Tensor delta = a - truths.patch.neurons[static_cast<std::size_t>(layer)];
    const double h = 1e-5;
    const at::Tensor slope =
        (truths.metric_with(layer, a + h * delta) - truths.metric_with(layer, a - h * delta)) / (2 * h);
    EXPECT_NEAR(atp.scores[layer].sum().item<double>(), slope.sum().item<double>(), 1e-7);
    // The gap says how far that is from the true effect.
    EXPECT_NEAR(atp.gap.select(1, layer).sum().item<double>(), (slope - truths.effect(layer)).sum().item<double>(),
                1e-7);
  }
  EXPECT_FALSE(atp.residual.defined());
}

/// The nested rule of so many equispaced points.
Quadrature nested_rule(int points) {
  return points == 3 ? Quadrature::simpson : points == 5 ? Quadrature::boole : Quadrature::trapezoid;
}

TEST(Attribute, AdaptiveMeetsItsToleranceAndSpendsLessOnSmoothLayers) {
  const Transformer model = tiny_model(Kind::llama);
  const Truths truths(model);
  MethodRequest request = request_of("ig-acts", Quadrature::adaptive, std::nullopt);
  request.tolerance = 1e-3;
  request.max_points = 1025;
  const UnitScores adaptive = scores_of(model, request);
  EXPECT_EQ(largest(adaptive.converged - 1), 0);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const at::Tensor effect = truths.effect(layer).abs();
    const at::Tensor floor = 0.01 * (truths.clean.metric - truths.patch.metric).abs();
    const at::Tensor allowed = request.tolerance * at::maximum(effect, floor);
    EXPECT_LE((adaptive.residual.select(1, layer).abs() - allowed).max().item<double>(), 1e-9);
  }
  EXPECT_EQ(adaptive.evaluations.min().item<double>(), 3);  // what is smooth stops as soon as anything may
  EXPECT_GE(adaptive.evaluations.max().item<double>(), 9);  // and what is not goes on
  request.max_points = 3;
  EXPECT_LT(largest(scores_of(model, request).converged.min()), 1);  // says so when it could not
}

TEST(Attribute, AdaptiveScoresAreThoseOfANestedRuleNeuronByNeuron) {
  const Transformer model = tiny_model(Kind::llama);
  MethodRequest request = request_of("ig-acts", Quadrature::adaptive, std::nullopt);
  request.tolerance = 1e-3;
  request.max_points = 1025;
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const Prompts one = tiny_prompts(pairs, length).narrow(pair, 1);
    const UnitScores adaptive = unit_of(model, task_of(request), one);
    for (std::int64_t layer = 0; layer < 3; ++layer) {
      // Two levels may have been evaluated together, of which the first was good enough.
      const auto spent = static_cast<int>(adaptive.evaluations[0][layer].item<double>());
      double nearest = std::numeric_limits<double>::infinity();
      for (const int points : {spent, spent / 2 + 1}) {
        if (points < 3) continue;
        const Task fixed = task_of(request_of("ig-acts", nested_rule(points), points));
        const at::Tensor apart = unit_of(model, fixed, one).scores[layer] - adaptive.scores[layer];
        nearest = std::min(nearest, largest(apart));
      }
      EXPECT_LE(nearest, 1e-12 * largest(adaptive.scores[layer])) << "pair " << pair << ", layer " << layer;
    }
  }
}

TEST(Attribute, MeasuresTheGapOfThePairsThatAreAskedFor) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(4, length);
  MethodRequest ruled = request_of("ig-acts", Quadrature::midpoint, 2);
  ruled.rule_preset = "relp";
  for (const MethodRequest& request : {request_of("atp"), request_of("relp"), ruled}) {
    const Task all = with_gap(task_of(request), 4);
    Task some = all, others = all, none = all;
    some.options.gap = {0, 1, 0, 1};
    others.options.gap = {1, 1, 0, 0};
    none.options.gap.clear();
    const at::Tensor expected = unit_of(model, all, prompts).gap;
    EXPECT_TRUE(at::isfinite(expected).all().item<bool>());
    // Methods of a group share what they measure, and none shows what only another has asked for.
    const UnitOutcome together = tributary::attribute({&model, &model}, {some, none, others}, prompts, UnitOptions{});
    EXPECT_FALSE(together.scores[1].gap.defined());
    for (const std::size_t task : {0, 2}) {
      const std::vector<char>& wanted = task == 0 ? some.options.gap : others.options.gap;
      for (std::int64_t pair = 0; pair < 4; ++pair) {
        const at::Tensor found = together.scores[task].gap[pair];
        if (wanted[static_cast<std::size_t>(pair)] != 0) {
          EXPECT_TRUE(at::equal(found, expected[pair])) << request.method << ", pair " << pair;
        } else {
          EXPECT_TRUE(at::isnan(found).all().item<bool>()) << request.method << ", pair " << pair;
        }
      }
    }
  }
}

TEST(Attribute, AdaptiveUnderRulesNeedsNoTrueDifference) {
  const Transformer model = tiny_model(Kind::llama);
  MethodRequest request = request_of("ig-acts", Quadrature::adaptive, std::nullopt);
  request.rule_preset = "relp";
  request.max_points = 1025;
  Task task = task_of(request);
  const UnitScores adaptive = unit_of(model, task, tiny_prompts(pairs, length));
  EXPECT_EQ(largest(adaptive.converged - 1), 0);
  EXPECT_FALSE(adaptive.gap.defined());
  request.quadrature = Quadrature::gauss_legendre;
  request.steps = 100;
  const at::Tensor fine = scores_of(model, request).scores;
  EXPECT_LE((adaptive.scores - fine).abs().sum().item<double>(), 0.05 * fine.abs().sum().item<double>());
}

TEST(Attribute, ThePilotChoosesTheCheapestRuleThatMeetsTheTolerance) {
  const Transformer model = tiny_model(Kind::llama);
  const Truths truths(model);
  const PilotChoices found =
      pilot({&model, &model}, task_of(request_of("ig-acts", Quadrature::pilot, std::nullopt)), truths.prompts, {});
  std::vector<at::Tensor> residuals;  // by candidate [pair, layer]
  for (const RulePoints& rule : pilot_candidates()) {
    residuals.push_back(scores_of(model, request_of("ig-acts", rule.rule, rule.points)).residual.abs());
  }
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const at::Tensor effect = truths.effect(layer);
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const auto choice = static_cast<std::size_t>(found.candidate[pair][layer].item<double>());
      const double far = (truths.clean.metric - truths.patch.metric)[pair].abs().item<double>();
      const double allowed = 0.01 * std::max(effect[pair].abs().item<double>(), 0.01 * far);
      const auto error_of = [&](std::size_t candidate) { return residuals[candidate][pair][layer].item<double>(); };
      EXPECT_LE(error_of(choice), allowed);
      EXPECT_NEAR(found.ratio[pair][layer].item<double>(), error_of(choice) / allowed, 1e-6);
      if (choice > 0) {
        EXPECT_GT(error_of(choice - 1), allowed);
      }
    }
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

TEST(Attribute, LayersWithScoresThatAreNotFiniteAreTold) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  MethodRequest request = request_of("gradient-x-activation");
  request.baseline = Baseline::mean;
  Task task = task_of(request);
  const Architecture& a = model.architecture();
  task.options.mean = neuron_means(at::zeros({length, a.d_model}, at::kDouble),
                                   at::zeros({a.layers(), length, a.neurons}, at::kDouble));
  EXPECT_FALSE(unit_of(model, task, prompts).faults.defined());
  task.options.mean.at(Site::neurons)[1][length - 1][0] = std::numeric_limits<double>::infinity();
  const at::Tensor faults = unit_of(model, task, prompts).faults;  // [pair, layer]
  EXPECT_TRUE(faults.select(1, 1).eq(1).all().item<bool>());
  EXPECT_EQ(faults.sum().item<double>(), pairs);
}

TEST(Attribute, NeuronsThatAreNotPatchedAreNoFaultsButPatchedOnesMayBe) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  MethodRequest request = request_of("exact-patching");
  request.baseline = Baseline::mean;
  Task task = task_of(request);
  const Architecture& a = model.architecture();
  task.options.mean = neuron_means(at::zeros({length, a.d_model}, at::kDouble),
                                   at::zeros({a.layers(), length, a.neurons}, at::kDouble));
  task.options.sample = {{0, 1, 2}, {2, length - 1, 0}};
  EXPECT_FALSE(unit_of(model, task, prompts).faults.defined());
  task.options.mean.at(Site::neurons)[2][length - 1][0] = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor faults = unit_of(model, task, prompts).faults;
  EXPECT_TRUE(faults.select(1, 2).eq(1).all().item<bool>());
  EXPECT_EQ(faults.sum().item<double>(), pairs);
}

TEST(Attribute, ThePilotJudgesConductanceByConductances) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  MethodRequest request = request_of("conductance", Quadrature::pilot, std::nullopt);
  for (const double tolerance : {0.05, 1e-9}) {
    request.tolerance = tolerance;
    const PilotChoices found = pilot({&model, &model}, task_of(request), prompts, {});
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const auto scores = [&](std::size_t candidate) {
        const int intervals = pilot_candidates()[candidate].points - 1;
        const Task task = task_of(request_of("conductance", Quadrature::trapezoid, intervals));
        return unit_of(model, task, prompts.narrow(pair, 1)).scores;
      };
      const auto ratio = [&](std::size_t candidate) {
        const at::Tensor now = scores(candidate);
        return (now - scores(candidate - 1)).abs().sum().item<double>() / now.abs().sum().item<double>() / tolerance;
      };
      const auto choice = static_cast<std::size_t>(found.candidate[pair][0].item<double>());
      EXPECT_NEAR(found.ratio[pair][0].item<double>() / ratio(choice), 1, 1e-6);
      if (tolerance > 1e-6) {
        EXPECT_LE(ratio(choice), 1);
        if (choice > 1) {
          EXPECT_GT(ratio(choice - 1), 1);
        }
      } else {
        EXPECT_EQ(choice, pilot_candidates().size() - 1);
        EXPECT_GT(found.ratio[pair][0].item<double>(), 1) << "and it says that none met the tolerance";
      }
    }
  }
}

TEST(Attribute, TheAuditShowsTheWholeErrorOfEachRule) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(pairs, length);
  const auto expect_whole = [&](const std::string& method, Quadrature rule, int steps, const MethodRequest& fine) {
    Task task = task_of(request_of(method, rule, steps));
    task.options.audit = {0, 1, 0};
    const UnitScores unit = unit_of(model, task, prompts);
    EXPECT_TRUE(at::isnan(unit.audit[0]).all().item<bool>());
    EXPECT_TRUE(at::isnan(unit.audit[2]).all().item<bool>());
    const auto alone = [&](const MethodRequest& request) {
      return unit_of(model, task_of(request), prompts.narrow(1, 1)).scores;
    };
    const at::Tensor truth = alone(fine);
    const at::Tensor error =
        (alone(request_of(method, rule, steps)) - truth).abs().sum({1, 2}) / truth.abs().sum({1, 2});
    EXPECT_LE(largest(unit.audit[1] / error - 1), 0.1) << method << ' ' << name_of(rule);
  };
  for (const Quadrature rule : {Quadrature::left, Quadrature::right, Quadrature::trapezoid_captum}) {
    expect_whole("ig-acts", rule, 8, request_of("ig-acts", Quadrature::gauss_legendre, 100));
  }
  for (const Quadrature rule : {Quadrature::left, Quadrature::right}) {
    expect_whole("conductance", rule, 8, request_of("conductance", Quadrature::trapezoid, 400));
  }
}

}  // namespace
}  // namespace tributary::testing::attribute
