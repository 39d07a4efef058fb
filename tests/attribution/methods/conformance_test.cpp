// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Captum's documented results on its own toy nets, re-derived (docs/methods.md), through the integrals that the
// transformer uses.
#include <gtest/gtest.h>

#include "attribution/methods/integrate.h"
#include "tests/attribution/toy_net.h"

namespace tributary::testing {
namespace {

at::Tensor numbers(const std::vector<double>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kDouble).reshape(shape);
}
at::Tensor row(const std::vector<double>& values) {
  return numbers(values, {1, static_cast<std::int64_t>(values.size())});
}

enum : std::size_t { linear0, linear1, relu, linear2 };

/// Captum's basic model: I3, ones(4, 3) with b1, ReLU, ones(2, 4) with b2.
ToyNet basic_net() {
  const at::Tensor none = at::zeros({3}, at::kDouble);
  return {{{at::eye(3, at::kDouble), none},
           {at::ones({4, 3}, at::kDouble), numbers({-10, 1, 1, 1}, {4})},
           {},
           {at::ones({2, 4}, at::kDouble), numbers({-1, 1}, {2})}},
          0};
}

ToyNet until(ToyNet net, std::size_t stage) {
  net.stages.resize(stage + 1);
  return net;
}

std::vector<std::int64_t> all_of(const at::Tensor& inputs) {
  std::vector<std::int64_t> examples;
  for (std::int64_t i = 0; i < inputs.size(0); ++i) examples.push_back(i);
  return examples;
}

at::Tensor stacked(const std::vector<PathIntegral>& integrals, at::Tensor PathIntegral::*member) {
  std::vector<at::Tensor> rows;
  for (const PathIntegral& integral : integrals) rows.push_back((integral.*member).flatten());
  return at::stack(rows);
}

at::Tensor conductance(const ToyNet& net, std::size_t tap, const at::Tensor& start, const at::Tensor& end,
                       Quadrature rule, int n) {
  const ToyPath path(net, tap, Moves::input, start, end);
  return stacked(integrate(path, all_of(end), captum_sweep(rule, n)), &PathIntegral::conductance);
}

at::Tensor input_ig(const ToyNet& net, const at::Tensor& inputs, Quadrature rule, int n) {
  const ToyPath path(net, 0, Moves::input, at::zeros_like(inputs), inputs);
  return inputs * stacked(integrate(path, all_of(inputs), {nodes_of(rule, n), IntervalGradient::mean}),
                          &PathIntegral::input_gradient);
}

at::Tensor ig_acts(const ToyNet& net, std::size_t tap, const at::Tensor& input, Quadrature rule, int n) {
  const at::Tensor end = output_of(net, tap, input);
  const at::Tensor start = output_of(net, tap, at::zeros_like(input));
  const ToyPath path(net, tap, Moves::tap, start, end);
  return (end - start) *
         stacked(integrate(path, {0}, {nodes_of(rule, n), IntervalGradient::mean}), &PathIntegral::gradient);
}

void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_LE((actual - expected).abs().max().item<double>(), tolerance) << "actual\n"
                                                                       << actual << "\nexpected\n"
                                                                       << expected;
}

const at::Tensor& hundred() {
  static const at::Tensor x = row({0, 100, 0});
  return x;
}
at::Tensor zero_start() { return at::zeros({1, 3}, at::kDouble); }

TEST(Conformance, Row1To3ConductanceOfEachLayer) {
  constexpr auto gl = Quadrature::gauss_legendre;
  expect_close(conductance(basic_net(), linear1, zero_start(), hundred(), gl, 500), row({90, 100, 100, 100}), 0.1);
  expect_close(conductance(basic_net(), linear0, zero_start(), hundred(), gl, 500), row({0, 390, 0}), 0.1);
  expect_close(conductance(basic_net(), relu, zero_start(), hundred(), gl, 500), row({90, 100, 100, 100}), 0.1);
  expect_close(conductance(basic_net(), linear2, zero_start(), hundred(), gl, 500), row({390, 0}), 0.1);
}

TEST(Conformance, Row4ConductanceWithSeveralInputs) {
  const at::Tensor x1 = numbers({0, 10, 1, 0, 0, 10}, {2, 3});
  const at::Tensor x2 = numbers({0, 4, 5, 0, 0, 10}, {2, 3});
  const at::Tensor held = numbers({0, 0, 0, 0, 0, 5}, {2, 3});
  expect_close(conductance(basic_net(), relu, 5 * held, 5 * (x1 + x2 + held), Quadrature::gauss_legendre, 500),
               numbers({90, 100, 100, 100, 100, 100, 100, 100}, {2, 4}), 0.1);
}

TEST(Conformance, Row5HeldInputsCarryNothing) {
  const at::Tensor moved = 4 * row({0, 20, 0});
  const at::Tensor third = 4 * row({0, 5, 0});
  expect_close(conductance(basic_net(), linear2, zero_start(), moved + third, Quadrature::gauss_legendre, 500),
               row({390, 0}), 0.1);
  expect_close(conductance(basic_net(), linear2, third, moved + third, Quadrature::gauss_legendre, 500), row({320, 0}),
               0.1);
}

TEST(Conformance, Row6InputIgOfAHiddenNeuron) {
  expect_close(input_ig(until(basic_net(), relu), row({0, 6, 14}), Quadrature::gauss_legendre, 200), row({0, 3, 7}),
               0.1);
}

TEST(Conformance, Row7ImplementationInvariance) {
  const at::Tensor identity = at::eye(2, at::kDouble);
  const at::Tensor difference = numbers({1, -1}, {1, 2});
  const ToyNet first{{{}, {difference, numbers({-1}, {1})}, {}}, 0};
  const ToyNet second{{{identity, numbers({-1, 0}, {2})}, {}, {difference, numbers({0}, {1})}, {}}, 0};
  expect_close(input_ig(first, row({3, 1}), Quadrature::right, 500), row({1.5, -0.5}), 0.01);
  expect_close(input_ig(second, row({3, 1}), Quadrature::right, 500), row({1.5, -0.5}), 0.01);
}

TEST(Conformance, Row8InputIgOfARowOfInputs) {
  ToyNet net = basic_net();
  net.stages = {net.stages[linear1], net.stages[relu]};
  expect_close(input_ig(net, at::arange(12, at::kDouble).reshape({4, 3}), Quadrature::gauss_legendre, 50),
               numbers({0, 0, 0, .4813, .6417, .8021, 3.1865, 3.7176, 4.2487, 5.8774, 6.5305, 7.1835}, {4, 3}), 1e-4);
}

ToyNet small_net() {
  return {{{at::arange(-4, 5, at::kDouble).reshape({3, 3}), at::zeros({3}, at::kDouble)},
           {},
           {at::arange(-3, 3, at::kDouble).reshape({2, 3}), at::ones({2}, at::kDouble)}},
          0};
}
at::Tensor small_inputs() { return numbers({.2961, .5166, .2517, .6886, .0740, .8665}, {2, 3}); }

TEST(Conformance, Row9InputIg) {
  expect_close(input_ig(small_net(), small_inputs(), Quadrature::gauss_legendre, 50),
               numbers({-.5922, -1.5498, -1.0068, 0, -.2220, -5.1990}, {2, 3}), 1e-4);
}

TEST(Conformance, Row10ConductanceBeforeAndAfterARelu) {
  const at::Tensor start = at::zeros({2, 3}, at::kDouble);
  expect_close(conductance(small_net(), 0, start, small_inputs(), Quadrature::trapezoid, 50),
               numbers({0, 0, -3.0858, 0, -.3487, -4.9639}, {2, 3}), 1e-4);
  EXPECT_NEAR(conductance(small_net(), 1, start, small_inputs(), Quadrature::trapezoid, 50)[0][2].item<double>(),
              -3.1488, 1e-4);
}

struct SmallNumber {
  Quadrature rule;
  double input, activation_first, activation_others, conductance_first, conductance_others;
};
constexpr double not_listed = -1;

class SmallNumbers : public ::testing::TestWithParam<SmallNumber> {};

TEST_P(SmallNumbers, Rows11To13PinEveryRule) {
  const SmallNumber& expected = GetParam();
  EXPECT_NEAR(input_ig(basic_net(), hundred(), expected.rule, 5)[0][1].item<double>(), expected.input, 1e-5);
  const at::Tensor acts = ig_acts(basic_net(), linear1, hundred(), expected.rule, 5)[0];
  EXPECT_NEAR(acts[0].item<double>(), expected.activation_first, 1e-5);
  for (const int other : {1, 2, 3}) EXPECT_NEAR(acts[other].item<double>(), expected.activation_others, 1e-5);
  if (expected.conductance_first == not_listed) return;
  const at::Tensor captum = conductance(basic_net(), linear1, zero_start(), hundred(), expected.rule, 5)[0];
  EXPECT_NEAR(captum[0].item<double>(), expected.conductance_first, 1e-3);
  for (const int other : {1, 2, 3}) EXPECT_NEAR(captum[other].item<double>(), expected.conductance_others, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(
    Conformance, SmallNumbers,
    ::testing::Values(SmallNumber{Quadrature::left, 380, 80, 100, 66.667, 83.333},
                      SmallNumber{Quadrature::right, 400, 100, 100, 83.333, 83.333},
                      SmallNumber{Quadrature::midpoint, 380, 80, 100, 66.667, 83.333},
                      SmallNumber{Quadrature::trapezoid, 387.5, 87.5, 100, 80, 100},
                      SmallNumber{Quadrature::trapezoid_captum, 310, 70, 80, not_listed, not_listed},
                      SmallNumber{Quadrature::gauss_legendre, 388.153656, 88.153656, 100, 79.683945, 93.246951}));

}  // namespace
}  // namespace tributary::testing
