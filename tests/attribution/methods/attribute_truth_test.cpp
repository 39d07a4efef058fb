// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Every kind of score, neuron by neuron, against its definition written with the autograd reference, in float64.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "attribution/methods/attribute.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::attribute_truth {
namespace {

constexpr std::int64_t pairs = 3;
constexpr std::int64_t length = 5;

/// Prompts that share `shared` positions, run by the reference.
class Definitions : public ::testing::TestWithParam<std::tuple<Kind, std::int64_t>> {
 protected:
  Definitions() { prompts.shared = std::get<1>(GetParam()); }

  [[nodiscard]] Truth run(const at::Tensor& e, Rules rules = {}, const AutogradModel::Replace& replace = {}) const {
    return reference.run(e, prompts.tokens, rules, replace);
  }
  [[nodiscard]] UnitScores unit(const MethodRequest& request) const { return unit_of(model, task(request), prompts); }
  [[nodiscard]] Task task(const MethodRequest& request) const {
    Task one = task_of(request);
    one.options.mean = mean;
    return with_gap(one, static_cast<std::size_t>(pairs));
  }

  const Transformer model = tiny_model(std::get<0>(GetParam()));
  const AutogradModel reference{model};
  Prompts prompts = tiny_prompts(pairs, length, at::kDouble, std::max<std::int64_t>(std::get<1>(GetParam()), 1));
  const at::Tensor x = model.embed(prompts.clean), y = model.embed(prompts.counterfactual);
  const Truth clean = run(x), patch = run(y);
  const MeanState mean = neuron_means(at::randn({length, 24}, at::kDouble), at::randn({3, length, 20}, at::kDouble));
};
INSTANTIATE_TEST_SUITE_P(Attribute, Definitions,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo,
                                                              Kind::neox),
                                            ::testing::Values(0, 1, length - 1)),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param)) + "_shared_" + std::to_string(std::get<1>(one.param));
                         });

TEST_P(Definitions, OfOnePointMethods) {
  const UnitScores relp = unit(request_of("relp"));
  const UnitScores gxa = unit(request_of("gradient-x-activation"));
  MethodRequest from_mean = request_of("atp");
  from_mean.baseline = Baseline::mean;
  MethodRequest denoise = request_of("atp");
  denoise.direction = Direction::denoise;
  const UnitScores averaged = unit(from_mean);
  const UnitScores denoised = unit(denoise);
  const Truth ruled = run(x, Rules::all());
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto l = static_cast<std::int64_t>(layer);
    const at::Tensor& a = clean.neurons[layer];
    const at::Tensor delta = a - patch.neurons[layer];
    expect_close(relp.scores[l], (delta * ruled.neuron_gradients[layer]).sum(0));
    expect_close(gxa.scores[l], (a * clean.neuron_gradients[layer]).sum(0));
    expect_close(averaged.scores[l], ((a - mean.at(Site::neurons)[l]) * clean.neuron_gradients[layer]).sum(0));
    expect_close(denoised.scores[l], (delta * patch.neuron_gradients[layer]).sum(0));
  }
  expect_close(relp.metric, at::stack({clean.metric, patch.metric}, 1));
  for (const UnitScores* one : {&relp, &gxa, &averaged, &denoised}) EXPECT_EQ(largest(one->evaluations - 1), 0);
}

TEST_P(Definitions, OfMagnitudesForEveryBaseline) {
  for (const Baseline baseline : {Baseline::pair, Baseline::zero, Baseline::mean}) {
    MethodRequest request = request_of("delta");
    request.baseline = baseline;
    const UnitScores found = unit(request);
    SCOPED_TRACE(name_of(baseline));
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const auto l = static_cast<std::int64_t>(layer);
      const at::Tensor& a = clean.neurons[layer];
      const at::Tensor from = baseline == Baseline::pair   ? patch.neurons[layer]
                              : baseline == Baseline::zero ? at::zeros_like(a)
                                                           : mean.at(Site::neurons)[l].expand_as(a);
      expect_close(found.scores[l], (a - from).abs().sum(0));
    }
    EXPECT_EQ(largest(found.evaluations), 0);  // no gradient is needed
  }
}

TEST_P(Definitions, OfIgActivations) {
  MethodRequest request = request_of("ig-acts", Quadrature::midpoint, 4);
  for (const Direction direction : {Direction::clean, Direction::denoise}) {
    for (const bool ruled : {false, true}) {
      request.direction = direction;
      request.rule_preset = ruled ? std::optional<std::string>("relp") : std::nullopt;
      const UnitScores found = unit(request);
      for (std::size_t layer = 0; layer < 3; ++layer) {
        const auto l = static_cast<std::int64_t>(layer);
        const at::Tensor start = patch.neurons[layer];
        const at::Tensor delta = clean.neurons[layer] - start;
        at::Tensor expected = at::zeros_like(delta);
        for (const double alpha : {0.125, 0.375, 0.625, 0.875}) {
          const Truth point =
              run(direction == Direction::clean ? x : y, ruled ? Rules::all() : Rules(),
                  [&](std::int64_t at, const at::Tensor& own) { return at == l ? start + alpha * delta : own; });
          expected += delta * point.neuron_gradients[layer] / 4;
        }
        expect_close(found.scores[l], expected.sum(0));
        // Residual, or linearisation gap: the sum against the true effect of the layer.
        const at::Tensor moved =
            run(direction == Direction::clean ? x : y, {}, [&](std::int64_t at, const at::Tensor& own) {
              return at != l ? own : direction == Direction::clean ? start : start + delta;
            }).metric;
        const at::Tensor effect = direction == Direction::clean ? clean.metric - moved : moved - patch.metric;
        const at::Tensor& difference = ruled ? found.gap : found.residual;
        EXPECT_LE(largest(difference.select(1, l) - (expected.sum({1, 2}) - effect)), 1e-9);
        EXPECT_EQ(largest(found.evaluations - 4), 0);
      }
    }
  }
}

TEST_P(Definitions, OfTheEmbeddingPathsThree) {
  const UnitScores inputs = unit(request_of("ig-inputs", Quadrature::right, 3));
  const UnitScores tokens = unit(request_of("input-ig", Quadrature::right, 3));
  const UnitScores conductance = unit(request_of("conductance", Quadrature::trapezoid, 3));
  std::vector<Truth> points;
  for (int j = 0; j <= 3; ++j) points.push_back(run(y + (x - y) * (j / 3.0)));
  at::Tensor by_token = at::zeros({pairs, length}, at::kDouble);
  for (std::size_t j = 1; j <= 3; ++j) by_token += ((x - y) * points[j].stream_gradients[0]).sum(-1) / 3;
  expect_close(tokens.inputs, by_token);
  expect_close(tokens.scores, by_token.sum(0).view({1, length, 1}));
  expect_close(inputs.inputs, by_token);
  EXPECT_LE(largest(tokens.residual.select(1, 0) - (by_token.sum(1) - (clean.metric - patch.metric))), 1e-9);
  EXPECT_EQ(largest(tokens.evaluations - 3), 0);
  EXPECT_EQ(largest(inputs.evaluations - 3), 0);
  EXPECT_EQ(largest(conductance.evaluations - static_cast<double>(points.size())), 0);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto l = static_cast<std::int64_t>(layer);
    at::Tensor mean_gradient = at::zeros_like(clean.neurons[layer]);
    at::Tensor integral = at::zeros_like(mean_gradient);
    for (std::size_t j = 1; j <= 3; ++j) {
      mean_gradient += points[j].neuron_gradients[layer] / 3;
      integral += (points[j].neuron_gradients[layer] + points[j - 1].neuron_gradients[layer]) / 2 *
                  (points[j].neurons[layer] - points[j - 1].neurons[layer]);
    }
    expect_close(inputs.scores[l], ((clean.neurons[layer] - patch.neurons[layer]) * mean_gradient).sum(0));
    expect_close(conductance.scores[l], integral.sum(0));
  }
}

TEST_P(Definitions, OfEmbeddingPathsFromOtherBaselines) {
  MethodRequest request = request_of("ig-inputs", Quadrature::right, 2);
  for (const Baseline baseline : {Baseline::mean, Baseline::zero}) {
    request.baseline = baseline;
    const UnitScores found = unit(request);
    const at::Tensor start = baseline == Baseline::mean ? mean.at(Site::embeddings).expand_as(x) : at::zeros_like(x);
    const Truth half = run(start + 0.5 * (x - start));
    // The end point is v at the smallest alpha evaluated where alpha = 0 never is.
    const Truth first = baseline == Baseline::zero ? half : run(start.contiguous());
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const at::Tensor gradient = (half.neuron_gradients[layer] + clean.neuron_gradients[layer]) / 2;
      expect_close(found.scores[static_cast<std::int64_t>(layer)],
                   ((clean.neurons[layer] - first.neurons[layer]) * gradient).sum(0));
    }
  }
}

TEST_P(Definitions, OfConductanceFromZeroBeginsAtTheFirstPointAboveIt) {
  MethodRequest request = request_of("conductance", Quadrature::trapezoid, 3);
  request.baseline = Baseline::zero;
  const UnitScores found = unit(request);
  const std::vector<Truth> points = {run(x / 3), run(x * 2 / 3), clean};
  for (std::size_t layer = 0; layer < 3; ++layer) {
    at::Tensor integral = at::zeros_like(clean.neurons[layer]);
    for (std::size_t j = 1; j < 3; ++j) {
      integral += (points[j].neuron_gradients[layer] + points[j - 1].neuron_gradients[layer]) / 2 *
                  (points[j].neurons[layer] - points[j - 1].neurons[layer]);
    }
    expect_close(found.scores[static_cast<std::int64_t>(layer)], integral.sum(0));
  }
  EXPECT_EQ(largest(found.evaluations - 3), 0);
}

TEST_P(Definitions, OfAggregates) {
  MethodRequest request = request_of("atp");
  request.aggregate = Aggregate::mean_abs;
  const UnitScores kept = unit(request);
  request.positions = Positions::sum;
  const UnitScores summed = unit(request);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const at::Tensor scores = (clean.neurons[layer] - patch.neurons[layer]) * clean.neuron_gradients[layer];
    expect_close(kept.scores[static_cast<std::int64_t>(layer)], scores.abs().sum(0));
    expect_close(summed.scores[static_cast<std::int64_t>(layer)], scores.sum(1, true).abs().sum(0));
  }
}

TEST(Attribute, UnpairedPromptsHaveZeroAndMeanBaselines) {
  const Transformer model = tiny_model(Kind::llama);
  Prompts prompts = tiny_prompts(pairs, length);
  prompts.counterfactual = at::Tensor();
  const Truth clean = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
  const UnitScores gxa = unit_of(model, task_of(request_of("gradient-x-activation")), prompts);
  MethodRequest magnitude = request_of("delta");
  magnitude.baseline = Baseline::zero;
  const UnitScores delta = unit_of(model, task_of(magnitude), prompts);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto l = static_cast<std::int64_t>(layer);
    expect_close(gxa.scores[l], (clean.neurons[layer] * clean.neuron_gradients[layer]).sum(0));
    expect_close(delta.scores[l], clean.neurons[layer].abs().sum(0));
  }
  EXPECT_TRUE(at::isnan(gxa.metric.select(1, 1)).all().item<bool>());
}

TEST(Attribute, TheMetricMayBeTheSumOfTheBestLogits) {
  const Transformer model = tiny_model(Kind::llama);
  Prompts prompts = tiny_prompts(pairs, length);
  prompts.tokens = {};
  prompts.top_k = 4;
  const at::Tensor logits = AutogradModel(model)
                                .run(model.embed(prompts.clean), tiny_prompts(pairs, length).tokens)
                                .logits.select(1, length - 1);
  const UnitScores unit = unit_of(model, task_of(request_of("atp")), prompts);
  expect_close(unit.metric.select(1, 0), std::get<0>(at::topk(logits, 4)).sum(1));
}

}  // namespace
}  // namespace tributary::testing::attribute_truth
