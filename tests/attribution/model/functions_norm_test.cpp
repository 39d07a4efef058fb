// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Norms as loops against autograd in float64 and against LibTorch's operations, on rows that lie apart in memory.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <tuple>

#include "attribution/model/functions.h"
#include "tests/attribution/autograd_model.h"
#include "tests/attribution/closeness.h"

namespace tributary::testing::functions_norm {
namespace {

using torch::autograd::grad;

constexpr std::int64_t rows = 5;
constexpr std::int64_t width = 37;

class Norms : public ::testing::TestWithParam<std::tuple<NormKind, at::ScalarType>> {
 protected:
  Norms() { at::manual_seed(4); }

  const NormKind kind = std::get<0>(GetParam());
  const at::ScalarType type = std::get<1>(GetParam());
  const at::ScalarType stream = stream_type(type);
  const bool centred = kind == NormKind::layer;
  const Norm norm{(1 + 0.3 * at::randn({width}, at::kDouble)).to(type),
                  centred ? at::randn({width}, at::kDouble).to(type) : at::Tensor(), kind, 1e-3, centred ? 0.0 : 0.5};
  // The last row is so small that epsilon is what the denominator is made of.
  const at::Tensor numbers =
      at::cat({3 * at::randn({rows - 1, width}, at::kDouble) + 1, 1e-3 * at::randn({1, width}, at::kDouble)});
  Strided h{numbers, stream};

  [[nodiscard]] at::Tensor truth_of(const at::Tensor& x) const { return truth::norm(x, norm, Derivative::plain); }
  [[nodiscard]] at::Tensor empty_statistics() const { return at::empty({rows, 2}, stream); }
};
INSTANTIATE_TEST_SUITE_P(Functions, Norms,
                         ::testing::Combine(::testing::Values(NormKind::rms, NormKind::layer),
                                            ::testing::Values(at::kDouble, at::kFloat, at::kBFloat16)),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param) == NormKind::rms ? "rms_" : "layer_") +
                                  c10::toString(std::get<1>(one.param));
                         });

TEST_P(Norms, AreThoseOfTheReference) {
  Strided x(at::zeros({rows, width}, at::kDouble), type);
  const at::Tensor mean_rstd = empty_statistics();
  normalise(h.rows, norm, x.rows, mean_rstd);
  const at::Tensor wide = h.rows.to(at::kDouble);
  expect_close(x.rows, truth_of(wide));
  const at::Tensor mean = centred ? wide.mean(-1) : at::zeros({rows}, at::kDouble);
  const at::Tensor moved = wide - mean.unsqueeze(1);
  expect_close(mean_rstd.select(1, 0), mean);
  expect_close(mean_rstd.select(1, 1), (moved.square().mean(-1) + norm.epsilon).rsqrt());
  EXPECT_TRUE(x.untouched() && h.untouched());
}

TEST_P(Norms, AreThoseOfLibTorch) {
  const at::Tensor x = at::empty({rows, width}, type);
  const at::Tensor y = at::empty({rows, width}, type);
  const at::Tensor mean_rstd = empty_statistics();
  const at::Tensor other = empty_statistics();
  normalise(h.rows, norm, x, mean_rstd);
  generic::normalise(h.rows, norm, y, other);
  expect_close(x, y);
  expect_close(mean_rstd, other);
}

TEST_P(Norms, OfASumAreThoseOfTheSum) {
  const at::Tensor term = at::randn({rows, width}, at::kDouble);
  Strided addend(term, type);
  Strided sum(at::zeros({rows, width}, at::kDouble), stream);
  Strided x(at::zeros({rows, width}, at::kDouble), type);
  add_normalise(h.rows, addend.rows, sum.rows, norm, x.rows, empty_statistics());
  expect_same_bits(sum.rows.contiguous(), h.rows + addend.rows.to(stream));
  const at::Tensor alone = at::empty({rows, width}, type);
  normalise(sum.rows, norm, alone, empty_statistics());
  expect_same_bits(x.rows.contiguous(), alone);
  EXPECT_TRUE(sum.untouched() && x.untouched());
}

TEST_P(Norms, MayBeLeftOutOfASum) {
  const at::Tensor addend = at::randn({rows, width}, at::kDouble).to(type);
  const at::Tensor sum = at::empty({rows, width}, stream);
  add_normalise(h.rows, addend, sum, norm, {}, {});
  expect_same_bits(sum, h.rows + addend.to(stream));
}

/// Gradients of every derivative, with a copy in network dtype and without.
TEST_P(Norms, BackwardPassIsAutograds) {
  const at::Tensor direction = at::randn({rows, width}, at::kDouble);
  Strided incoming(direction, type);
  const at::Tensor before = at::randn({rows, width}, at::kDouble);
  const at::Tensor x = at::empty({rows, width}, type);
  const at::Tensor mean_rstd = empty_statistics();
  normalise(h.rows, norm, x, mean_rstd);
  for (const Derivative derivative : {Derivative::plain, Derivative::replaced}) {
    const at::Tensor leaf = h.rows.to(at::kDouble).clone().requires_grad_();
    const at::Tensor through = grad({truth::norm(leaf, norm, derivative)}, {leaf}, {incoming.rows.to(at::kDouble)})[0];
    for (const bool copied : {false, true}) {
      Strided gradient(before, stream);
      Strided copy(at::zeros({rows, width}, at::kDouble), type);
      const at::Tensor expected = gradient.rows.to(at::kDouble) + through;
      normalise_backward(incoming.rows, h.rows, mean_rstd, norm, derivative, gradient.rows,
                         copied ? copy.rows : at::Tensor());
      expect_close(gradient.rows, expected);
      EXPECT_TRUE(gradient.untouched() && copy.untouched());
      if (copied) {
        expect_same_bits(copy.rows.contiguous(), gradient.rows.to(type).contiguous());
      } else {
        EXPECT_EQ(largest(copy.rows), 0);
      }
      const at::Tensor generic_gradient = before.to(stream);
      const at::Tensor generic_copy = at::empty({rows, width}, type);
      generic::normalise_backward(incoming.rows, h.rows, mean_rstd, norm, derivative, generic_gradient, generic_copy);
      expect_close(generic_gradient, expected);
      expect_close(generic_copy, expected);
    }
  }
}

TEST_P(Norms, NoBitOfARowDependsOnTheOthers) {
  const at::Tensor incoming = at::randn({rows, width}, at::kDouble).to(type);
  const at::Tensor x = at::empty({rows, width}, type);
  const at::Tensor mean_rstd = empty_statistics();
  const at::Tensor gradient = at::zeros({rows, width}, stream);
  normalise(h.rows, norm, x, mean_rstd);
  normalise_backward(incoming, h.rows, mean_rstd, norm, Derivative::plain, gradient, {});
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto one = [row](const at::Tensor& t) { return t.narrow(0, row, 1).clone(); };
    const at::Tensor alone = at::empty({1, width}, type);
    const at::Tensor own = at::empty({1, 2}, stream);
    const at::Tensor alone_gradient = at::zeros({1, width}, stream);
    normalise(one(h.rows), norm, alone, own);
    normalise_backward(one(incoming), one(h.rows), own, norm, Derivative::plain, alone_gradient, {});
    expect_same_bits(alone, one(x));
    expect_same_bits(alone_gradient, one(gradient));
  }
}

}  // namespace
}  // namespace tributary::testing::functions_norm
