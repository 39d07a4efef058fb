// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What single heads, MLPs and embeddings do, against sums written out. Neurons: node_effects_test.cpp.
#include <gtest/gtest.h>

#include <numeric>

#include "attribution/circuit/node_effects.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/tiny_model.h"

namespace tributary::testing::node_effects {
namespace {

constexpr std::int64_t length = 6;

/// A node of every kind at a position and at all of them, and neurons between them.
ListedNodes listed_of(MlpSide side) {
  return {
      {tiny_table(), tiny_table(NodeKind::heads), tiny_table(NodeKind::mlps, side), tiny_table(NodeKind::embeddings)},
      {{2, 1, 7},
       {1, 3, 2, NodeKind::heads},
       {0, 5, 0, NodeKind::mlps},
       {0, -1, 19},
       {0, 4, 0, NodeKind::embeddings},
       {2, -1, 0, NodeKind::heads},
       {2, -1, 0, NodeKind::mlps},
       {0, -1, 0, NodeKind::embeddings}}};
}

/// Of which of all numbers a node's are the first, by counting.
std::int64_t first_number(const ListedNodes& listed, std::size_t i) {
  std::int64_t first = 0;
  for (std::size_t n = 0; n < i; ++n)
    first += listed.nodes[n].kind == NodeKind::neurons ? 0 : listed.nodes[n].kind == NodeKind::heads ? 6 : 24;
  return first;
}

/// What a node of another kind than neurons adds to the stream with a norm's denominator of 1 [d_model].
at::Tensor added(const Transformer& model, const NodeTable& table, const Node& node, const at::Tensor& v) {
  const BlockSpec& block = model.architecture().block(node.layer);
  const LayerWeights& w = model.weights().layers[static_cast<std::size_t>(node.layer)];
  const auto gained = [&](const at::Tensor& out, const NormSpec& norm, const at::Tensor& weight) {
    return (norm.kind == NormKind::none ? out : out * (weight + norm.gain_offset)) * block.multiplier;
  };
  if (table.site == Site::z) {
    const at::Tensor out = at::matmul(w.output_weight.narrow(1, node.index * 6, 6), v);
    return gained(out, block.attention_post_norm, w.attention_post_norm_weight);
  }
  return table.site == Site::mlp_written ? gained(v, block.mlp_post_norm, w.mlp_post_norm_weight) : v;
}

class EffectsOfKinds : public ::testing::TestWithParam<std::tuple<Kind, MlpSide>> {
 protected:
  const Transformer model = tiny_model(std::get<0>(GetParam()));
  const ListedNodes listed = listed_of(std::get<1>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(NodeEffects, EffectsOfKinds,
                         ::testing::Combine(::testing::Values(Kind::llama, Kind::gpt2, Kind::gemma, Kind::olmo,
                                                              Kind::neox),
                                            ::testing::Values(MlpSide::added, MlpSide::written)));

TEST_P(EffectsOfKinds, AreTheTokensThatWhatTheyAddPointsAt) {
  const Architecture& a = model.architecture();
  const Weights& w = model.weights();
  ASSERT_EQ(listed.dims(), 2 * 6 + 2 * 24 + 2 * 24);
  at::manual_seed(5);
  const at::Tensor moved = at::randn({listed.dims()}, at::kDouble);
  const DirectEffects found =
      direct_effects(model, listed, {moved.data_ptr<double>(), moved.data_ptr<double>() + moved.numel()}, 40);
  for (std::size_t i = 0; i < listed.nodes.size(); ++i) {
    const Node& node = listed.nodes[i];
    if (node.kind == NodeKind::neurons) continue;
    const NodeTable& table = listed.table_of(node);
    at::Tensor direction = added(model, table, node, moved.narrow(0, first_number(listed, i), table.dims));
    if (a.final_norm.kind == NormKind::layer) direction = direction - direction.mean();
    const at::Tensor all =
        at::matmul(w.unembedding, direction * (w.final_norm_weight + a.final_norm.gain_offset)) * a.logit_multiplier;
    const auto [falling, order] = at::sort(all, 0, /*descending=*/true);
    const auto row = static_cast<std::int64_t>(i);
    EXPECT_TRUE(at::equal(found.promoted[row], order)) << text_of(node);
    EXPECT_TRUE(at::equal(found.suppressed[row], order.flip(0))) << text_of(node);
    expect_close(found.promoted_logit[row], falling);
    expect_close(found.suppressed_logit[row], falling.flip(0));
  }
}

/// A neuron's direction does not depend on its neighbours in the list.
TEST_P(EffectsOfKinds, NeuronsAmongOthersAreThoseAlone) {
  const std::vector<double> moved(static_cast<std::size_t>(listed.dims()), 0.25);
  const DirectEffects all = direct_effects(model, listed, moved, 5);
  const DirectEffects alone = direct_effects(model, {listed.tables, {listed.nodes[0], listed.nodes[3]}}, {}, 5);
  for (const auto& [row, place] : {std::pair(0, 0), std::pair(3, 1)}) {
    EXPECT_TRUE(at::equal(all.promoted[row], alone.promoted[place]));
    EXPECT_TRUE(at::equal(all.promoted_logit[row], alone.promoted_logit[place]));
  }
}

TEST_P(EffectsOfKinds, ValuesAreNormsAndWhatMovesIsSummedOverThePairs) {
  const Prompts prompts = tiny_prompts(3, length);
  const AutogradModel reference(model);
  const Truth clean = reference.run(model.embed(prompts.clean), prompts.tokens);
  const Truth patch = reference.run(model.embed(prompts.counterfactual), prompts.tokens);
  const NodeValues found = node_values(model, prompts, listed, {.rows = 13});
  ASSERT_EQ(found.moved.numel(), listed.dims());
  for (std::size_t i = 0; i < listed.nodes.size(); ++i) {
    const Node& node = listed.nodes[i];
    const NodeTable& table = listed.table_of(node);
    const auto value = [&](const Truth& truth) {  // [pair, dims]
      const at::Tensor here = truth.values.at(table.site)[static_cast<std::size_t>(node.layer)].narrow(
          2, node.index * table.dims, table.dims);
      return node.position < 0 ? here.sum(1) : here.select(1, node.position);
    };
    const auto number = [&](const Truth& truth) {
      return table.dims == 1 ? value(truth).select(1, 0) : value(truth).square().sum(1).sqrt();
    };
    const auto column = static_cast<std::int64_t>(i);
    expect_close(found.clean.select(1, column), number(clean));
    expect_close(found.counterfactual.select(1, column), number(patch));
    if (table.dims == 1) continue;
    expect_close(found.moved.narrow(0, first_number(listed, i), table.dims), (value(clean) - value(patch)).sum(0));
  }
  Prompts unpaired = prompts;
  unpaired.counterfactual = at::Tensor();
  const NodeValues alone = node_values(model, unpaired, listed, {});
  EXPECT_FALSE(alone.counterfactual.defined());
  const at::Tensor e = clean.values.at(Site::embeddings)[0].select(1, 4);
  expect_close(alone.moved.narrow(0, first_number(listed, 4), 24), e.sum(0));
}

TEST(NodeEffectsOfKinds, HaveTheSameBitsInEveryBatch) {
  const Transformer model = tiny_model(Kind::gemma, at::kFloat);
  const Prompts prompts = tiny_prompts(5, length, at::kFloat);
  const ListedNodes listed = listed_of(MlpSide::written);
  const NodeValues whole = node_values(model, prompts, listed, {});
  const NodeValues cut = node_values(model, prompts, listed, {.rows = 12});
  expect_same_bits(whole.clean, cut.clean);
  expect_same_bits(whole.counterfactual, cut.counterfactual);
  expect_same_bits(whole.moved, cut.moved);
}

}  // namespace
}  // namespace tributary::testing::node_effects
