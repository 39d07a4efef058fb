// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Activations and gates as loops against autograd in float64 and against LibTorch's operations, rule by rule, on rows
// that lie apart in memory and on values so large that an exponential overflows.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <tuple>

#include "attribution/model/functions.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing::functions_gate {
namespace {

using torch::autograd::grad;

constexpr std::int64_t rows = 4;
constexpr std::int64_t neurons = 29;

std::string name_of(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "silu";
    case Activation::gelu_erf:
      return "gelu_erf";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::gelu_quick:
      return "gelu_quick";
    case Activation::relu:
      return "relu";
  }
  return {};
}

/// z and u side by side, or z.
at::Tensor moderate(std::int64_t width) { return 2 * at::randn({rows, width}, at::kDouble); }
at::Tensor extreme(std::int64_t width) {
  at::Tensor x = at::randn({rows, width}, at::kDouble);
  const at::Tensor ends = at::tensor({-100.0, 100.0, -20.0, 20.0, -88.0, 88.0, -9.0, 9.0, 0.0}, at::kDouble);
  x.narrow(1, 0, 9).copy_(ends.expand({rows, 9}));
  return x;
}

/// One site, by all ways to compute it.
class Gates : public ::testing::TestWithParam<std::tuple<MlpKind, Activation, at::ScalarType>> {
 protected:
  Gates() { at::manual_seed(5); }

  const MlpKind kind = std::get<0>(GetParam());
  const at::ScalarType type = std::get<2>(GetParam());
  const Gate form{kind, std::get<1>(GetParam()), neurons};
  const std::int64_t width = kind == MlpKind::gated ? 2 * neurons : neurons;

  [[nodiscard]] at::Tensor truth_of(const at::Tensor& pre_activations, Derivative activation, Derivative half) const {
    const at::Tensor s = truth::act(pre_activations.narrow(1, 0, neurons), form.activation, activation);
    return kind == MlpKind::plain ? s : truth::product(s, pre_activations.narrow(1, neurons, neurons), half);
  }

  void check_forward(const at::Tensor& numbers) const {
    Strided pre_activations(numbers, type);
    Strided a(at::zeros({rows, neurons}, at::kDouble), type);
    gate(pre_activations.rows, form, a.rows);
    expect_close(a.rows, truth_of(pre_activations.rows.to(at::kDouble), Derivative::plain, Derivative::plain));
    EXPECT_TRUE(a.untouched() && pre_activations.untouched());
    const at::Tensor other = at::empty({rows, neurons}, type);
    generic::gate(pre_activations.rows, form, other);
    expect_close(a.rows, other);
  }

  void check_backward(const at::Tensor& numbers, Derivative activation, Derivative half) const {
    Strided pre_activations(numbers, type);
    Strided incoming(at::randn({rows, neurons}, at::kDouble), type);
    const at::Tensor leaf = pre_activations.rows.to(at::kDouble).clone().requires_grad_();
    const at::Tensor expected = grad({truth_of(leaf, activation, half)}, {leaf}, {incoming.rows.to(at::kDouble)})[0];
    const at::Tensor forward = at::empty({rows, neurons}, type);
    gate(pre_activations.rows, form, forward);

    Strided gradient(at::zeros({rows, width}, at::kDouble), type);
    Strided a(at::zeros({rows, neurons}, at::kDouble), type);
    gate_backward(incoming.rows, pre_activations.rows, form, activation, half, gradient.rows, a.rows);
    expect_close(gradient.rows, expected);
    expect_same_bits(a.rows.contiguous(), forward);
    EXPECT_TRUE(a.untouched() && gradient.untouched());

    const at::Tensor other = at::empty({rows, width}, type);
    generic::gate_backward(incoming.rows, pre_activations.rows, form, activation, half, other, {});
    expect_close(other, expected);

    // In place, where the gradient takes the room of z and u.
    a.rows.zero_();
    const at::Tensor kept = gradient.rows.clone();
    gate_backward(incoming.rows, pre_activations.rows, form, activation, half, pre_activations.rows, a.rows);
    expect_same_bits(pre_activations.rows.contiguous(), kept);
    expect_same_bits(a.rows.contiguous(), forward);
  }
};
INSTANTIATE_TEST_SUITE_P(Functions, Gates,
                         ::testing::Combine(::testing::Values(MlpKind::gated, MlpKind::plain),
                                            ::testing::Values(Activation::silu, Activation::gelu_erf,
                                                              Activation::gelu_tanh, Activation::gelu_quick,
                                                              Activation::relu),
                                            ::testing::Values(at::kDouble, at::kFloat, at::kBFloat16)),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param) == MlpKind::gated ? "gated_" : "plain_") +
                                  name_of(std::get<1>(one.param)) + "_" + c10::toString(std::get<2>(one.param));
                         });

TEST_P(Gates, AreThoseOfTheReference) { check_forward(moderate(width)); }

TEST_P(Gates, OfLargeValuesAreThoseOfTheReference) { check_forward(extreme(width)); }

TEST_P(Gates, PlainBackwardPassIsAutograds) {
  check_backward(moderate(width), Derivative::plain, Derivative::plain);
  check_backward(extreme(width), Derivative::plain, Derivative::plain);
}

TEST_P(Gates, TheActivationRuleHoldsTheCoefficient) {
  check_backward(moderate(width), Derivative::replaced, Derivative::plain);
  check_backward(extreme(width), Derivative::replaced, Derivative::plain);
}

TEST_P(Gates, TheHalfRuleGivesEachFactorHalf) {
  check_backward(moderate(width), Derivative::plain, Derivative::replaced);
}

TEST_P(Gates, BothRulesTogether) { check_backward(moderate(width), Derivative::replaced, Derivative::replaced); }

TEST_P(Gates, NoBitOfARowDependsOnTheOthers) {
  const at::Tensor pre_activations = moderate(width).to(type);
  const at::Tensor incoming = at::randn({rows, neurons}, at::kDouble).to(type);
  const at::Tensor a = at::empty({rows, neurons}, type);
  const at::Tensor gradient = at::empty({rows, width}, type);
  gate(pre_activations, form, a);
  gate_backward(incoming, pre_activations, form, Derivative::plain, Derivative::plain, gradient, {});
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto one = [row](const at::Tensor& t) { return t.narrow(0, row, 1).clone(); };
    const at::Tensor alone = at::empty({1, neurons}, type);
    const at::Tensor alone_gradient = at::empty({1, width}, type);
    gate(one(pre_activations), form, alone);
    gate_backward(one(incoming), one(pre_activations), form, Derivative::plain, Derivative::plain, alone_gradient, {});
    expect_same_bits(alone, one(a));
    expect_same_bits(alone_gradient, one(gradient));
  }
}

}  // namespace
}  // namespace tributary::testing::functions_gate
