// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ablation.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "attribution/circuit/ranking.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing {
namespace {

using Side = CircuitPoint::Side;
constexpr std::int64_t length = 5;
constexpr std::int64_t nodes = 3 * length * 20;
const NodeLayout layout({tiny_table()}, length, Positions::keep);

/// A random ranking of all nodes, and mean ablation values.
CurveInputs random_inputs(Ablation ablation) {
  at::manual_seed(3);
  CurveInputs inputs;
  inputs.layout = layout;
  inputs.ablation = ablation;
  inputs.places = {at::randperm(nodes, at::kInt)};
  inputs.mean = {{Site::neurons, at::randn({3, length, 20}, at::kDouble)}};
  return inputs;
}

/// The reference's metric of one pair with kept [layer, pos, neuron] held and the rest set.
double by_hand(const Transformer& model, const Prompts& prompts, std::int64_t pair, const at::Tensor& kept,
               const at::Tensor& values) {
  const auto replace = [&](std::int64_t layer, const at::Tensor& a) {
    return at::where(kept[layer], a, values[layer]);
  };
  const Prompts one = prompts.narrow(pair, 1);
  return AutogradModel(model).run(model.embed(one.clean), one.tokens, {}, replace).metric.item<double>();
}

/// The counterfactual prompts' own neurons [layer, pair, pos, neuron].
at::Tensor counterfactual_neurons(const Transformer& model, const Prompts& prompts) {
  return at::stack(AutogradModel(model).run(model.embed(prompts.counterfactual), prompts.tokens).neurons);
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
  const at::Tensor patch = counterfactual_neurons(model, prompts);
  for (std::int64_t pair = 0; pair < 2; ++pair) {
    const at::Tensor values = GetParam() == Ablation::mean   ? inputs.mean.at(Site::neurons)
                              : GetParam() == Ablation::zero ? at::zeros_like(inputs.mean.at(Site::neurons))
                                                             : patch.select(1, pair);
    const at::Tensor kept = (inputs.places[0] < 40).view({3, length, 20});
    EXPECT_NEAR(unit.points[0][pair].item<double>(), by_hand(model, prompts, pair, kept, values), 1e-10);
    EXPECT_NEAR(unit.points[1][pair].item<double>(), by_hand(model, prompts, pair, kept.logical_not(), values), 1e-10);
    EXPECT_EQ(unit.points[2][pair].item<double>(), unit.full[pair].item<double>());
    EXPECT_EQ(unit.points[3][pair].item<double>(), unit.empty[pair].item<double>());
    EXPECT_EQ(unit.points[4][pair].item<double>(), unit.empty[pair].item<double>());
  }
}

/// Circuits that leave lower layers whole, so that their rows enter the network late, beside others that do not.
TEST_P(Ablations, PointsThatBeginToAblateHigherUpEnterThere) {
  for (const Kind kind : {Kind::llama, Kind::gpt2}) {
    const Transformer model = tiny_model(kind);
    const Prompts prompts = tiny_prompts(3, length);
    CurveInputs inputs = random_inputs(GetParam());
    constexpr std::int64_t layer = length * 20;
    inputs.places = {at::arange(nodes, at::kInt),           // the lower layers first
                     at::arange(nodes, at::kInt).flip(0)};  // the upper ones first
    inputs.points = {{0, 2 * layer + 31, Side::circuit},    // layer 2 alone loses some
                     {0, layer, Side::circuit},             // layers 1 and 2 lose all
                     {0, 45, Side::circuit},
                     {1, layer + 9, Side::complement},  // the places before that: layer 2, and a little of layer 1
                     {1, layer - 7, Side::complement},
                     {1, layer + 9, Side::circuit},
                     {0, nodes - 1, Side::circuit},      // the very last neuron
                     {1, 0, Side::complement},           // none: the full model
                     {1, layer + 1, Side::complement}};  // layer 2, and one neuron of layer 1
    const at::Tensor patch = counterfactual_neurons(model, prompts);
    for (const std::int64_t rows : {1, 24, 512}) {
      const CurveUnit unit = evaluate_circuits(model, prompts, inputs, {rows});
      for (std::size_t i = 0; i < inputs.points.size(); ++i) {
        const CircuitPoint& point = inputs.points[i];
        const at::Tensor inside =
            (inputs.places[static_cast<std::size_t>(point.ranking)] < point.count).view({3, length, 20});
        const at::Tensor kept = point.side == Side::circuit ? inside : inside.logical_not();
        for (std::int64_t pair = 0; pair < 3; ++pair) {
          const at::Tensor values = GetParam() == Ablation::mean   ? inputs.mean.at(Site::neurons)
                                    : GetParam() == Ablation::zero ? at::zeros_like(inputs.mean.at(Site::neurons))
                                                                   : patch.select(1, pair);
          EXPECT_NEAR(unit.points[static_cast<std::int64_t>(i)][pair].item<double>(),
                      by_hand(model, prompts, pair, kept, values), 1e-10)
              << "point " << i << " pair " << pair;
        }
      }
      const Truth truth = AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens);
      EXPECT_LE(largest(unit.full - truth.metric), 1e-10);
      expect_same_bits(unit.points[7], unit.full);
    }
  }
}

TEST(Circuits, NoBitDependsOnBatchesOrOtherPoints) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Transformer model = tiny_model(Kind::llama, type);
    const Prompts prompts = tiny_prompts(3, length, at::kFloat);
    CurveInputs inputs = random_inputs(Ablation::resample);
    inputs.places.push_back(at::arange(nodes, at::kInt));
    inputs.points = {
        {0, 40, Side::circuit}, {1, 250, Side::circuit}, {1, 130, Side::circuit}, {0, 99, Side::complement}};
    const CurveUnit all = evaluate_circuits(model, prompts, inputs, {});
    const CurveUnit one_by_one = evaluate_circuits(model, prompts, inputs, {1});
    expect_same_bits(all.points, one_by_one.points);
    expect_same_bits(all.full, one_by_one.full);
    expect_same_bits(all.empty, one_by_one.empty);
    for (std::size_t i = 0; i < inputs.points.size(); ++i) {
      CurveInputs alone = inputs;
      alone.points = {inputs.points[i]};
      const at::Tensor& row = all.points[static_cast<std::int64_t>(i)];
      expect_same_bits(evaluate_circuits(model, prompts, alone, {}).points[0], row);
      for (std::int64_t pair = 0; pair < 3; ++pair) {
        expect_same_bits(evaluate_circuits(model, prompts.narrow(pair, 1), alone, {}).points[0],
                         row.narrow(0, pair, 1));
      }
    }
  }
}

TEST(Circuits, SummedPositionsKeepANeuronEverywhere) {
  const Transformer model = tiny_model(Kind::llama);
  const Prompts prompts = tiny_prompts(2, length);
  CurveInputs inputs = random_inputs(Ablation::zero);
  inputs.layout = NodeLayout({tiny_table()}, 1, Positions::sum);
  inputs.places = {at::randperm(60, at::kInt)};
  inputs.points = {{0, 25, Side::circuit}};
  const at::Tensor kept = (inputs.places[0] < 25).view({3, 1, 20}).expand({3, length, 20});
  EXPECT_NEAR(evaluate_circuits(model, prompts, inputs, {}).points[0][0].item<double>(),
              by_hand(model, prompts, 0, kept, at::zeros_like(inputs.mean.at(Site::neurons))), 1e-10);
}

TEST(Circuits, SumsOfActivationsAreThoseOfTheRuns) {
  const Transformer model = tiny_model(Kind::gpt2);
  const Prompts prompts = tiny_prompts(3, length);
  const at::Tensor embeddings = model.embed(prompts.clean);
  const Truth truth = AutogradModel(model).run(embeddings, prompts.tokens);
  const std::map<Site, at::Tensor> sums = sum_activations(model, prompts.clean, {tiny_table()}, {8});
  expect_close(sums.at(Site::neurons), at::stack(truth.neurons).sum(1));
  expect_close(sums.at(Site::embeddings), embeddings.sum(0, true));
}

}  // namespace
}  // namespace tributary::testing
