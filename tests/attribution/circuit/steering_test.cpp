// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/steering.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::steering {
namespace {

constexpr std::int64_t length = 5;
const std::vector<double> factors{-2, 0, 1, 3};

SteeringInputs tiny_inputs(std::int64_t pairs) {
  SteeringInputs inputs;
  inputs.tables = {tiny_table()};
  inputs.nodes = {{0, 0, 5}, {0, 2, 4}, {1, -1, 7}, {2, 4, 0}, {2, 1, 3}};
  inputs.factors = factors;
  inputs.answers = at::tensor({3, 7}, at::kLong).expand({pairs, 2}).contiguous();
  return inputs;
}

/// The reference's run of the clean prompts with the neurons multiplied.
Truth by_hand(const Transformer& model, const Prompts& prompts, const SteeringInputs& inputs, double factor) {
  const auto replace = [&](std::int64_t layer, const at::Tensor& a) {
    at::Tensor changed = a.detach().clone();
    for (const Node& neuron : inputs.nodes) {
      if (neuron.layer != layer) continue;
      at::Tensor here = changed.select(2, neuron.index);
      if (neuron.position >= 0) here = here.select(1, neuron.position);
      here.mul_(factor);
    }
    return changed;
  };
  return AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens, {}, replace);
}

class Steering : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Families, Steering,
                         ::testing::Values(Kind::llama, Kind::gpt2, Kind::mistral, Kind::gemma, Kind::olmo, Kind::neox),
                         [](const auto& which) { return name_of(which.param); });

TEST_P(Steering, IsAForwardPassWithTheNeuronsMultiplied) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, length);
  const SteeringInputs inputs = tiny_inputs(3);
  const SteeringUnit unit = steer(model, prompts, inputs, {});
  const at::Tensor unsteered = at::log_softmax(by_hand(model, prompts, inputs, 1).logits.select(1, length - 1), -1);
  for (std::int64_t f = 0; f < std::ssize(factors); ++f) {
    const Truth truth = by_hand(model, prompts, inputs, factors[static_cast<std::size_t>(f)]);
    const at::Tensor said = at::log_softmax(truth.logits.select(1, length - 1), -1);  // [pair, vocabulary]
    expect_close(unit.metric[f], truth.metric);
    expect_close(unit.probability[f].select(1, 0), said.select(1, 3).exp());
    expect_close(unit.probability[f].select(1, 1), said.select(1, 7).exp());
    expect_close(unit.divergence[f], at::kl_div(said, unsteered, 0, true).sum(-1));
    const auto [top, tokens] = at::topk(said, inputs.top);
    EXPECT_TRUE(at::equal(unit.tokens[f], tokens));
    expect_close(unit.top_probability[f], top.exp());
  }
}

/// Nodes of every kind at once, by the reference with each multiplied where it is read.
TEST_P(Steering, OfEveryKindIsAForwardPassWithTheNodesMultiplied) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(3, length);
  for (const MlpSide side : {MlpSide::added, MlpSide::written}) {
    SteeringInputs inputs = tiny_inputs(3);
    inputs.tables = {tiny_table(NodeKind::heads), tiny_table(NodeKind::mlps, side), tiny_table(NodeKind::embeddings),
                     tiny_table()};
    inputs.nodes = {{0, 2, 1, NodeKind::heads},
                    {2, 4, 3, NodeKind::heads},
                    {1, -1, 0, NodeKind::heads},
                    {1, 3, 0, NodeKind::mlps},
                    {2, 4, 0, NodeKind::mlps},
                    {2, 0, 0, NodeKind::mlps},
                    {1, 2, 7},
                    {0, 1, 0, NodeKind::embeddings},
                    {0, 4, 0, NodeKind::embeddings}};
    const SteeringUnit unit = steer(model, prompts, inputs, {12});
    for (std::int64_t f = 0; f < std::ssize(factors); ++f) {
      const auto change = [&](Site site, std::int64_t layer, const at::Tensor& own) {
        at::Tensor changed = own.detach().clone();
        for (const Node& node : inputs.nodes) {
          for (const NodeTable& table : inputs.tables) {
            if (table.kind != node.kind || table.site != site || node.layer != layer) continue;
            at::Tensor here = changed.narrow(2, node.index * table.dims, table.dims);
            if (node.position >= 0) here = here.narrow(1, node.position, 1);
            here.mul_(factors[static_cast<std::size_t>(f)]);
          }
        }
        return changed;
      };
      const Truth truth = AutogradModel(model).run_with(model.embed(prompts.clean), prompts.tokens, {}, change);
      expect_close(unit.metric[f], truth.metric);
      expect_close(unit.probability[f].select(1, 0), at::softmax(truth.logits.select(1, length - 1), -1).select(1, 3));
    }
    EXPECT_EQ(unit.divergence[2].abs().max().item<double>(), 0);  // by one
  }
}

TEST_P(Steering, ByOneChangesNothing) {
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(2, length);
  const SteeringUnit unit = steer(model, prompts, tiny_inputs(2), {});
  EXPECT_EQ(unit.divergence[2].abs().max().item<double>(), 0);
  expect_close(unit.metric[2], AutogradModel(model).run(model.embed(prompts.clean), prompts.tokens).metric);
}

TEST_P(Steering, DoesNotDependOnTheRowsOfACall) {
  const Transformer model = tiny_model(GetParam(), at::kFloat);
  const Prompts prompts = tiny_prompts(3, length, at::kFloat);
  const SteeringUnit all = steer(model, prompts, tiny_inputs(3), {512});
  const SteeringUnit one = steer(model, prompts, tiny_inputs(3), {1});
  EXPECT_TRUE(at::equal(all.metric, one.metric));
  EXPECT_TRUE(at::equal(all.divergence, one.divergence));
  EXPECT_TRUE(at::equal(all.top_probability, one.top_probability));
}

TEST(Steering, AnAnswerThatIsNotThereHasNoProbability) {
  const Transformer model = tiny_model(Kind::llama);
  SteeringInputs inputs = tiny_inputs(1);
  inputs.answers = at::tensor({3, -1}, at::kLong).view({1, 2});
  const SteeringUnit unit = steer(model, tiny_prompts(1, length), inputs, {});
  EXPECT_TRUE(unit.probability.select(2, 1).isnan().all().item<bool>());
  EXPECT_FALSE(unit.probability.select(2, 0).isnan().any().item<bool>());
}

}  // namespace
}  // namespace tributary::testing::steering
