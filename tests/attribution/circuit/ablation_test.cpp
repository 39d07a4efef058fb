// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ablation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "attribution/circuit/ranking.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

using Side = CircuitPoint::Side;
constexpr std::int64_t length = 5;
constexpr std::int64_t nodes = 3 * length * 20;

/// A random ranking of all nodes, and mean ablation values.
CurveInputs random_inputs(Ablation ablation) {
  at::manual_seed(3);
  CurveInputs inputs;
  inputs.ablation = ablation;
  inputs.places = {at::randperm(nodes, at::kInt).view({3, length, 20})};
  inputs.mean = at::randn({3, length, 20}, at::kDouble);
  return inputs;
}

/// The metric of one pair with kept [layer, pos, neuron] held and the rest set, by a tap of our own.
double by_hand(const Transformer& model, const Prompts& prompts, std::int64_t pair, const at::Tensor& kept,
               const at::Tensor& values) {
  const BatchShape shape{1, length};
  PassOptions pass;
  pass.neurons = [&](std::int64_t layer, const at::Tensor& a) {
    const at::Tensor one = from_rows(a, shape)[0];
    const at::Tensor set = kept[layer].to(at::kDouble) * one + (1 - kept[layer].to(at::kDouble)) * values[layer];
    return to_rows(set.unsqueeze(0), shape);
  };
  const at::Tensor stream = model.run(model.embed(prompts.clean.narrow(0, pair, 1)), pass);
  return model.metric(stream, shape, {prompts.tokens.tokens.narrow(0, pair, 1), prompts.tokens.coefficients}, {})
      .item<double>();
}

class Ablations : public ::testing::TestWithParam<Ablation> {};
INSTANTIATE_TEST_SUITE_P(Circuits, Ablations, ::testing::Values(Ablation::mean, Ablation::zero, Ablation::resample));

TEST_P(Ablations, EveryPointIsOneForwardPassWithItsNeuronsKept) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(2, length);
  CurveInputs inputs = random_inputs(GetParam());
  inputs.points = {{0, 40, Side::circuit},
                   {0, 40, Side::complement},
                   {0, nodes, Side::circuit},
                   {0, nodes, Side::complement},
                   {0, 0, Side::circuit}};
  const CurveUnit unit = evaluate_circuits(model, prompts, inputs, {16});
  const RecordedRun patch = record_run(model, model.embed(prompts.counterfactual), prompts.tokens, {});
  for (std::int64_t pair = 0; pair < 2; ++pair) {
    const at::Tensor values = GetParam() == Ablation::mean   ? inputs.mean
                              : GetParam() == Ablation::zero ? at::zeros_like(inputs.mean)
                                                             : patch.activations.select(1, pair);
    const at::Tensor kept = inputs.places[0] < 40;
    EXPECT_NEAR(unit.points[0][pair].item<double>(), by_hand(model, prompts, pair, kept, values), 1e-10);
    EXPECT_NEAR(unit.points[1][pair].item<double>(), by_hand(model, prompts, pair, kept.logical_not(), values), 1e-10);
    EXPECT_EQ(unit.points[2][pair].item<double>(), unit.full[pair].item<double>());
    EXPECT_EQ(unit.points[3][pair].item<double>(), unit.empty[pair].item<double>());
    EXPECT_EQ(unit.points[4][pair].item<double>(), unit.empty[pair].item<double>());
  }
}

TEST(Circuits, SummedPositionsKeepANeuronEverywhere) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(2, length);
  CurveInputs inputs = random_inputs(Ablation::zero);
  inputs.places = {at::randperm(60, at::kInt).view({3, 1, 20})};
  inputs.points = {{0, 25, Side::circuit}};
  const at::Tensor kept = (inputs.places[0] < 25).expand({3, length, 20});
  EXPECT_NEAR(evaluate_circuits(model, prompts, inputs, {}).points[0][0].item<double>(),
              by_hand(model, prompts, 0, kept, at::zeros_like(inputs.mean)), 1e-10);
}

TEST(Circuits, SumsOfActivationsAreThoseOfTheRuns) {
  const Transformer model = tiny_model(Kind::gpt2);
  const Prompts prompts = tiny_prompts(3, length);
  const RecordedRun run = record_run(model, model.embed(prompts.clean), prompts.tokens, {});
  const ActivationSums sums = sum_activations(model, prompts.clean, {8});
  EXPECT_TRUE(at::allclose(sums.activations, run.activations.sum(1), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(sums.embeddings, run.embeddings.sum(0), 1e-12, 1e-12));
}

}  // namespace
}  // namespace tributary::testing
