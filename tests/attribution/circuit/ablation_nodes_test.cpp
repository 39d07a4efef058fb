// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Circuits of nodes of several kinds: every point against a run of the autograd reference in which the nodes outside
// are set. Of neurons alone: ablation_test.cpp.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <map>
#include <tuple>

#include "attribution/circuit/ablation.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::ablation_nodes {
namespace {

using Side = CircuitPoint::Side;
constexpr std::int64_t length = 5;

/// Kinds of nodes that compete, not in the order of the enumeration.
struct Mixture {
  std::vector<NodeKind> kinds;
  MlpSide side = MlpSide::added;
};

const std::vector<Mixture> mixtures{
    {{NodeKind::mlps, NodeKind::embeddings, NodeKind::heads, NodeKind::neurons}, MlpSide::added},
    {{NodeKind::heads, NodeKind::mlps}, MlpSide::written},
    {{NodeKind::embeddings}, MlpSide::added},
    {{NodeKind::neurons, NodeKind::mlps}, MlpSide::written}};

NodeLayout layout_of(const Mixture& mixture, Positions kept = Positions::keep) {
  std::vector<NodeTable> tables;
  for (const NodeKind kind : mixture.kinds) tables.push_back(tiny_table(kind, mixture.side));
  return {tables, kept == Positions::keep ? length : 1, kept};
}

CurveInputs inputs_of(const NodeLayout& layout, Ablation ablation) {
  at::manual_seed(3);
  CurveInputs inputs;
  inputs.layout = layout;
  inputs.ablation = ablation;
  inputs.places = {at::randperm(layout.nodes(), at::kInt), at::arange(layout.nodes(), at::kInt),
                   at::arange(layout.nodes(), at::kInt).flip(0)};
  for (const NodeTable& table : layout.tables()) {
    inputs.mean[table.site] = at::randn({table.layers, length, table.width()}, at::kDouble);
  }
  const auto all = static_cast<std::int64_t>(layout.nodes());
  inputs.points = {{0, all / 3, Side::circuit}, {0, all / 3, Side::complement}, {1, all / 2, Side::circuit},
                   {1, all - 1, Side::circuit}, {2, all - 1, Side::circuit},    {2, 2, Side::complement},
                   {1, 2, Side::complement},    {0, 0, Side::circuit},          {0, all, Side::circuit},
                   {2, all / 2, Side::circuit}};
  return inputs;
}

/// The reference's metric of each pair at a point: each kind's part of the list, its nodes' numbers side by side.
at::Tensor by_hand(const AutogradModel& reference, const Transformer& model, const Prompts& prompts,
                   const CurveInputs& inputs, const CircuitPoint& point, const Truth& patch) {
  const auto change = [&](Site site, std::int64_t layer, const at::Tensor& own) {
    std::int64_t first = 0;
    for (const NodeTable& table : inputs.layout.tables()) {
      const std::int64_t in_layer = inputs.layout.positions() * table.nodes;
      const at::Tensor places = inputs.places[static_cast<std::size_t>(point.ranking)].narrow(
          0, first + (table.site == site ? layer * in_layer : 0), in_layer);
      first += table.layers * in_layer;
      if (table.site != site) continue;
      const at::Tensor inside = places.view({inputs.layout.positions(), table.nodes}) < point.count;
      const at::Tensor kept = (point.side == Side::circuit ? inside : inside.logical_not())
                                  .repeat_interleave(table.dims, 1)
                                  .expand({length, -1});
      const at::Tensor value = inputs.ablation == Ablation::mean ? inputs.mean.at(site)[layer].expand_as(own)
                               : inputs.ablation == Ablation::zero
                                   ? at::zeros_like(own)
                                   : patch.values.at(site)[static_cast<std::size_t>(layer)];
      return at::where(kept, own, value);
    }
    return own;
  };
  return reference.run_with(model.embed(prompts.clean), prompts.tokens, {}, change).metric;
}

class MixedCircuits : public ::testing::TestWithParam<std::tuple<Kind, Ablation>> {};
INSTANTIATE_TEST_SUITE_P(Circuits, MixedCircuits,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo,
                                                              Kind::neox),
                                            ::testing::Values(Ablation::mean, Ablation::zero, Ablation::resample)));

TEST_P(MixedCircuits, EveryPointIsOneForwardPassWithItsNodesKept) {
  const Transformer model = tiny_model(std::get<0>(GetParam()));
  const AutogradModel reference(model);
  const Prompts prompts = tiny_prompts(2, length);
  const Truth clean = reference.run(model.embed(prompts.clean), prompts.tokens);
  const Truth patch = reference.run(model.embed(prompts.counterfactual), prompts.tokens);
  for (const Mixture& mixture : mixtures) {
    for (const Positions kept : {Positions::keep, Positions::sum}) {
      const CurveInputs inputs = inputs_of(layout_of(mixture, kept), std::get<1>(GetParam()));
      const CurveUnit unit = evaluate_circuits(model, prompts, inputs, {20});
      EXPECT_LE(largest(unit.full - clean.metric), 1e-9);
      for (std::size_t i = 0; i < inputs.points.size(); ++i) {
        const at::Tensor truth = by_hand(reference, model, prompts, inputs, inputs.points[i], patch);
        EXPECT_LE(largest(unit.points[static_cast<std::int64_t>(i)] - truth), 1e-9)
            << "kinds " << mixture.kinds.size() << ", point " << i;
      }
      expect_same_bits(unit.points[7], unit.empty);
      expect_same_bits(unit.points[8], unit.full);
    }
  }
}

TEST(MixedCircuitBits, DoNotDependOnBatchesOrOtherPoints) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const Kind kind : {Kind::llama, Kind::gemma, Kind::neox}) {
      const Transformer model = tiny_model(kind, type);
      const Prompts prompts = tiny_prompts(3, length, at::kFloat);
      const CurveInputs inputs = inputs_of(layout_of(mixtures.front()), Ablation::resample);
      const CurveUnit all = evaluate_circuits(model, prompts, inputs, {});
      const CurveUnit one_by_one = evaluate_circuits(model, prompts, inputs, {1});
      expect_same_bits(all.points, one_by_one.points);
      for (std::size_t i = 0; i < inputs.points.size(); ++i) {
        CurveInputs alone = inputs;
        alone.points = {inputs.points[i]};
        expect_same_bits(evaluate_circuits(model, prompts, alone, {}).points[0],
                         all.points[static_cast<std::int64_t>(i)]);
      }
    }
  }
}

/// All that the embeddings are ablated to is the counterfactual prompt.
TEST(MixedCircuitTruth, AllEmbeddingsResampledAreTheCounterfactualRun) {
  const Transformer model = tiny_model(Kind::gpt2);
  const Prompts prompts = tiny_prompts(3, length);
  CurveInputs inputs = inputs_of(layout_of({{NodeKind::embeddings}, MlpSide::added}), Ablation::resample);
  const CurveUnit unit = evaluate_circuits(model, prompts, inputs, {});
  const Truth patch = AutogradModel(model).run(model.embed(prompts.counterfactual), prompts.tokens);
  expect_close(unit.empty, patch.metric);
}

TEST(SumsOfActivations, OfEverySiteAreThoseOfTheRuns) {
  for (const Kind kind : {Kind::gpt2, Kind::gemma, Kind::olmo, Kind::neox}) {
    const Transformer model = tiny_model(kind);
    const Prompts prompts = tiny_prompts(3, length);
    const at::Tensor embeddings = model.embed(prompts.clean);
    const Truth truth = AutogradModel(model).run(embeddings, prompts.tokens);
    const std::vector<NodeTable> tables{tiny_table(NodeKind::heads), tiny_table(NodeKind::mlps),
                                        tiny_table(NodeKind::mlps, MlpSide::written), tiny_table(NodeKind::embeddings)};
    const std::map<Site, at::Tensor> sums = sum_activations(model, prompts.clean, tables, {8});
    EXPECT_EQ(sums.size(), 4U);
    for (const NodeTable& table : tables) {
      expect_close(sums.at(table.site), at::stack(truth.values.at(table.site)).sum(1));
    }
    EXPECT_EQ(sum_activations(model, prompts.clean, {}, {}).size(), 1U) << "the embeddings are always among them";
  }
}

}  // namespace
}  // namespace tributary::testing::ablation_nodes
