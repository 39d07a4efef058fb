// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Integrals along a path with known answers: one neuron v(alpha), one gradient g(alpha), no network.
#include "attribution/methods/integrate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace tributary {
namespace {

/// v(alpha) and dm/dv(alpha) as given functions; counts its evaluations.
class FormulaPath : public PathNetwork {
 public:
  FormulaPath(std::function<double(double)> value, std::function<double(double)> gradient)
      : value_(std::move(value)), gradient_(std::move(gradient)) {}
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override {
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto scalar = [](double x) { return at::full({1, 1, 1}, x, at::kDouble); };
      visit(i, {scalar(value_(points[i].alpha)), scalar(gradient_(points[i].alpha)), {}});
      ++count;
    }
  }
  mutable int count = 0;

 private:
  std::function<double(double)> value_, gradient_;
};

double number(const at::Tensor& t) { return t.item<double>(); }

TEST(Integrate, ConductanceTakesTheGradientAtTheNamedSideOfEachInterval) {
  // v = alpha^2, g = alpha: the exact integral of g dv is 2/3; with two intervals the sums are by hand.
  const FormulaPath path([](double a) { return a * a; }, [](double a) { return a; });
  const auto sum = [&path](Quadrature rule) {
    return number(integrate(path, {0}, interval_sweep(rule, 2)).front().conductance);
  };
  EXPECT_DOUBLE_EQ(sum(Quadrature::left), 0.5 * 0.75);
  EXPECT_DOUBLE_EQ(sum(Quadrature::right), 0.5 * 0.25 + 1 * 0.75);
  EXPECT_DOUBLE_EQ(sum(Quadrature::trapezoid), (0.375 + 0.875) / 2);
}

TEST(Integrate, WeightsOfAnIntervalSweepAreThoseOfItsRule) {
  const FormulaPath path([](double a) { return a; }, [](double a) { return 1 + a; });
  const auto mean = [&path](Quadrature rule) {
    return number(integrate(path, {0}, interval_sweep(rule, 4)).front().gradient);
  };
  EXPECT_DOUBLE_EQ(mean(Quadrature::left), 1 + (0 + 0.25 + 0.5 + 0.75) / 4);
  EXPECT_DOUBLE_EQ(mean(Quadrature::right), 1 + (0.25 + 0.5 + 0.75 + 1) / 4);
  EXPECT_DOUBLE_EQ(mean(Quadrature::trapezoid), 1.5);
}

struct Adaptive {
  PathIntegral integral;
  int evaluations;
};

Adaptive adaptive(const std::function<double(double)>& gradient, double truth, double tolerance, int max_points,
                  AdaptiveOptions::Residual residual = AdaptiveOptions::Residual::required) {
  const FormulaPath path([](double a) { return a; }, gradient);
  const auto sum_of = [](std::size_t, const PathIntegral& estimate) { return number(estimate.gradient); };
  const AdaptiveOptions options{tolerance, max_points, AdaptiveOptions::Agreement::sum, residual};
  auto integrals = integrate_adaptive(path, {{truth, std::abs(truth)}}, sum_of, options);
  return {integrals.front(), path.count};
}

TEST(Adaptive, IsExactOnPolynomialsAtTheLevelThatIntegratesThem) {
  const Adaptive cubic = adaptive([](double a) { return 1 + a * a * a; }, 1.25, 1e-12, 65);
  // Simpson is exact, but agrees with the trapezoid before it only roughly, so Boole confirms it.
  EXPECT_EQ(cubic.evaluations, 5);
  EXPECT_NEAR(number(cubic.integral.gradient), 1.25, 1e-14);
  EXPECT_TRUE(cubic.integral.converged);
}

TEST(Adaptive, StopsEarlyWhereTheToleranceAllowsIt) {
  EXPECT_EQ(adaptive([](double a) { return 1 + 0.1 * a * a; }, 1 + 0.1 / 3, 0.01, 65).evaluations, 3);
}

TEST(Adaptive, GoesOnUntilAPeakIsResolved) {
  const double width = 0.05;
  const auto peak = [width](double a) { return std::exp(-(a - 0.47) * (a - 0.47) / (2 * width * width)); };
  const double truth = width * std::sqrt(2 * M_PI);
  const Adaptive found = adaptive(peak, truth, 0.001, 257);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(number(found.integral.gradient), truth, 0.001 * truth);
  EXPECT_EQ(found.evaluations, found.integral.evaluations);
  EXPECT_GE(found.evaluations, 17);
}

TEST(Adaptive, SaysWhenItCouldNot) {
  const Adaptive found = adaptive([](double a) { return a < 0.5 ? 0.0 : 1.0; }, 0.25, 1e-6, 17);
  EXPECT_FALSE(found.integral.converged);
  EXPECT_EQ(found.evaluations, 17);
}

TEST(Adaptive, LevelsThatAgreeOnAWrongSumGoOn) {
  // Nothing at 0, 1/4, 1/2, 3/4 and 1: three levels agree on 0, and only the residual knows better.
  const auto hidden = [](double a) { return std::pow(std::sin(4 * M_PI * a), 2); };
  const Adaptive found = adaptive(hidden, 0.5, 0.001, 65);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(number(found.integral.gradient), 0.5, 5e-4);
  EXPECT_GE(found.evaluations, 17);
}

TEST(Adaptive, WithoutATrueDifferenceAgreementAloneDecides) {
  const auto smooth = [](double a) { return std::exp(a); };
  const Adaptive found = adaptive(smooth, 0, 1e-3, 65, AdaptiveOptions::Residual::ignored);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(number(found.integral.gradient), std::exp(1) - 1, 1e-4);
  EXPECT_EQ(found.evaluations, 5);  // Boole agrees with Simpson
}

TEST(Adaptive, ConductanceAgreesLevelByLevel) {
  const FormulaPath path([](double a) { return a * a; },
                         [](double a) { return std::exp(a); });  // integral of 2a exp(a) is 2
  const auto sum_of = [](std::size_t, const PathIntegral&) { return 0.0; };
  const auto found =
      integrate_adaptive(path, {{0, 1}}, sum_of,
                         {1e-3, 257, AdaptiveOptions::Agreement::conductance, AdaptiveOptions::Residual::required});
  EXPECT_TRUE(found.front().converged);
  EXPECT_NEAR(number(found.front().conductance), 2, 2e-3);
}

}  // namespace
}  // namespace tributary
