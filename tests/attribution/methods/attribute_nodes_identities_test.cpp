// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What scores of different kinds of nodes say of each other.
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include "attribution/methods/attribute.h"
#include "tests/attribution/closeness.h"
#include "tests/attribution/unit.h"

namespace tributary::testing::attribute_identities {
namespace {

constexpr std::int64_t pairs = 3;
constexpr std::int64_t length = 5;

/// A method of every path whose baseline is another prompt, from which biases cancel.
std::vector<MethodRequest> linear_methods() {
  std::vector<MethodRequest> requests{request_of("atp"),
                                      request_of("relp"),
                                      request_of("ig-acts", Quadrature::gauss_legendre, 3),
                                      request_of("ig-acts", Quadrature::trapezoid, 3),
                                      request_of("ig-inputs", Quadrature::right, 3),
                                      request_of("conductance", Quadrature::trapezoid, 3),
                                      request_of("atp"),
                                      request_of("ig-acts", Quadrature::right, 2)};
  requests[6].direction = requests[7].direction = Direction::denoise;
  return requests;
}

class Identities : public ::testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] UnitScores unit(const MethodRequest& request, const NodeTable& table) const {
    return unit_of(model, task_of(request, table), prompts);
  }
  const Transformer model = tiny_model(GetParam());
  const Prompts prompts = tiny_prompts(pairs, length);
};
INSTANTIATE_TEST_SUITE_P(Attribute, Identities,
                         ::testing::Values(Kind::llama, Kind::gpt2, Kind::patchwork, Kind::gemma, Kind::olmo,
                                           Kind::neox),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(Identities, WhatAnMlpWritesIsTheSumOfItsNeurons) {
  for (const MethodRequest& request : linear_methods()) {
    SCOPED_TRACE(request.method);
    const UnitScores written = unit(request, tiny_table(NodeKind::mlps, MlpSide::written));
    const UnitScores neurons = unit(request, tiny_table());
    expect_close(written.scores, neurons.scores.sum(2, true));
    ASSERT_EQ(written.residual.defined(), neurons.residual.defined());
    if (!written.residual.defined()) continue;
    EXPECT_LE(largest(written.residual - neurons.residual), 1e-9);
  }
}

TEST_P(Identities, BothSidesOfAnMlpAreTheSameWhereNothingLiesBetweenThem) {
  const bool same = GetParam() != Kind::gemma && GetParam() != Kind::olmo;  // a norm, and a multiplier
  for (const MethodRequest& request : linear_methods()) {
    SCOPED_TRACE(request.method);
    const at::Tensor written = unit(request, tiny_table(NodeKind::mlps, MlpSide::written)).scores;
    const at::Tensor added = unit(request, tiny_table(NodeKind::mlps)).scores;
    EXPECT_EQ(at::allclose(written, added, 1e-9, 1e-10), same);
  }
}

TEST_P(Identities, EmbeddingsHaveTheScoresOfInputIgAtTheSamePoints) {
  const NodeTable embeddings = tiny_table(NodeKind::embeddings);
  for (const Quadrature rule :
       {Quadrature::left, Quadrature::right, Quadrature::midpoint, Quadrature::gauss_legendre}) {
    const UnitScores tokens = unit(request_of("input-ig", rule, 4), tiny_table());
    for (const std::string method : {"ig-inputs", "ig-acts"}) {
      const UnitScores found = unit(request_of(method, rule, 4), embeddings);
      expect_same_bits(found.scores, tokens.scores);
      expect_same_bits(found.residual, tokens.residual);
      expect_same_bits(found.evaluations, tokens.evaluations.narrow(1, 0, 1));
    }
  }
}

TEST(IdentitiesOfExactPatching, TheWholeLayersEffectIsThatOfItsOneNodeAtAllPositions) {
  for (const Kind kind : {Kind::llama, Kind::gemma, Kind::olmo, Kind::neox}) {
    const Transformer model = tiny_model(kind);
    const Prompts prompts = tiny_prompts(pairs, length);
    for (const MlpSide side : {MlpSide::added, MlpSide::written}) {
      const NodeTable table = tiny_table(NodeKind::mlps, side);
      MethodRequest patching = request_of("exact-patching");
      patching.positions = Positions::sum;
      Task exact = task_of(patching, table);
      exact.options.sample = sample_nodes(table, 1, 3, 0, Positions::sum);
      const UnitScores patched = unit_of(model, exact, prompts);
      const UnitScores linear = unit_of(model, with_gap(task_of(request_of("atp"), table), pairs), prompts);
      for (std::int64_t layer = 0; layer < 3; ++layer) {
        const double effect = (linear.scores[layer].sum() - linear.gap.select(1, layer).sum()).item<double>();
        EXPECT_NEAR(patched.scores[layer].sum().item<double>(), effect, 1e-9);
      }
    }
  }
}

}  // namespace
}  // namespace tributary::testing::attribute_identities
