// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/quadrature.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "common/errors.h"

namespace tributary {
namespace {

double power_integral(const Nodes& nodes, int degree) {
  double sum = 0;
  for (std::size_t k = 0; k < nodes.alpha.size(); ++k) sum += nodes.weight[k] * std::pow(nodes.alpha[k], degree);
  return sum;
}

struct Exactness {
  Quadrature rule;
  int points;
  int degree;  //!< integrates polynomials up to this degree exactly, and not the next
};

class PolynomialExactness : public ::testing::TestWithParam<Exactness> {};

TEST_P(PolynomialExactness, HoldsUpToTheRulesDegreeAndNoFurther) {
  const auto [rule, points, degree] = GetParam();
  const Nodes nodes = nodes_of(rule, points);
  ASSERT_EQ(static_cast<int>(nodes.alpha.size()), points);
  for (int d = 0; d <= degree; ++d) EXPECT_NEAR(power_integral(nodes, d), 1.0 / (d + 1), 1e-14) << "degree " << d;
  EXPECT_GT(std::abs(power_integral(nodes, degree + 1) - 1.0 / (degree + 2)), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, PolynomialExactness,
    ::testing::Values(Exactness{Quadrature::left, 7, 0}, Exactness{Quadrature::right, 7, 0},
                      Exactness{Quadrature::midpoint, 7, 1}, Exactness{Quadrature::trapezoid, 7, 1},
                      Exactness{Quadrature::gauss_legendre, 1, 1}, Exactness{Quadrature::gauss_legendre, 2, 3},
                      Exactness{Quadrature::gauss_legendre, 5, 9}, Exactness{Quadrature::radau, 2, 2},
                      Exactness{Quadrature::simpson, 3, 3}, Exactness{Quadrature::boole, 5, 5}));

TEST(Quadrature, LeftAndRightSumAtTheirOwnSides) {
  EXPECT_EQ(nodes_of(Quadrature::left, 4).alpha, (std::vector<double>{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(nodes_of(Quadrature::right, 4).alpha, (std::vector<double>{0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(nodes_of(Quadrature::midpoint, 2).alpha, (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(nodes_of(Quadrature::trapezoid, 3).alpha, (std::vector<double>{0, 0.5, 1}));
}

TEST(Quadrature, CaptumsTrapezoidIsBiasedAsDocumented) {
  for (const int n : {2, 5, 50})
    EXPECT_NEAR(power_integral(nodes_of(Quadrature::trapezoid_captum, n), 0), (n - 1.0) / n, 1e-14);
}

TEST(Quadrature, GaussLegendreOfManyPointsIsSymmetricAndSumsToOne) {
  const Nodes nodes = nodes_of(Quadrature::gauss_legendre, 500);
  EXPECT_NEAR(std::accumulate(nodes.weight.begin(), nodes.weight.end(), 0.0), 1, 1e-13);
  for (std::size_t k = 0; k < 250; ++k) EXPECT_NEAR(nodes.alpha[k] + nodes.alpha[499 - k], 1, 1e-14);
  EXPECT_NEAR(power_integral(nodes, 40), 1.0 / 41, 1e-14);
}

TEST(Quadrature, RefusesPointCountsWithoutAForm) {
  EXPECT_THROW(nodes_of(Quadrature::trapezoid, 1), UserError);
  EXPECT_THROW(nodes_of(Quadrature::simpson, 5), UserError);
  EXPECT_THROW(nodes_of(Quadrature::right, 0), UserError);
  EXPECT_THROW(nodes_of(Quadrature::adaptive, 5), ContractViolation);
}

TEST(Quadrature, NamesReadBack) {
  for (const std::string& name : quadrature_names()) EXPECT_EQ(name_of(quadrature_named(name)), name);
}

}  // namespace
}  // namespace tributary
