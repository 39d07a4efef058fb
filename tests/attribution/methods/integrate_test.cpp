// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Integrals along a path with known answers: one neuron v(alpha), one gradient g(alpha), no network.
#include "attribution/methods/integrate.h"

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace tributary {
namespace {

/// v, dm/dv, dm/dalpha and m as functions of alpha; counts its evaluations.
class FormulaPath : public PathNetwork {
 public:
  using Formula = std::function<double(double)>;
  FormulaPath(Formula value, Formula gradient, Formula slope = {}, Formula metric = {})
      : value_(std::move(value)),
        gradient_(std::move(gradient)),
        slope_(std::move(slope)),
        metric_(std::move(metric)) {}
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override {
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double alpha = points[i].alpha;
      const auto scalar = [](double x) { return at::full({1, 1, 1}, x, at::kDouble); };
      visit(i, {metric_ ? metric_(alpha) : 0, slope_ ? slope_(alpha) : 0, scalar(value_(alpha)),
                scalar(gradient_(alpha)), scalar(-gradient_(alpha))});
      ++count;
      seen.insert(alpha);
    }
  }
  mutable int count = 0;
  mutable std::set<double> seen;  // without what is evaluated twice

 private:
  Formula value_, gradient_, slope_, metric_;
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
  int distinct;  //!< points evaluated, each counted once
};

using Formula = FormulaPath::Formula;

/// v = alpha, so that dm/dalpha is the gradient; m is its primitive, which decides when to stop.
Adaptive adaptive(const Formula& gradient, const Formula& primitive, double tolerance, int max_points,
                  AdaptiveOptions::Residual residual = AdaptiveOptions::Residual::required, double floor = 0) {
  const FormulaPath path([](double a) { return a; }, gradient, gradient, primitive);
  const AdaptiveOptions options{tolerance, max_points, AdaptiveOptions::Agreement::sum, residual};
  auto integrals = integrate_adaptive(path, {{.floor = floor}}, options);
  return {integrals.front(), path.count, static_cast<int>(path.seen.size())};
}

TEST(Adaptive, IsExactOnPolynomialsAtTheLevelThatIntegratesThem) {
  const auto primitive = [](double a) { return 7 + a + a * a * a * a / 4; };
  const Adaptive cubic = adaptive([](double a) { return 1 + a * a * a; }, primitive, 1e-12, 65);
  // Simpson is exact on the whole path, but three points cannot tell: Boole confirms it.
  EXPECT_EQ(cubic.evaluations, 5);
  EXPECT_NEAR(number(cubic.integral.gradient), 1.25, 1e-14);
  EXPECT_TRUE(cubic.integral.converged);
}

TEST(Adaptive, StopsEarlyWhereTheToleranceAllowsIt) {
  const auto primitive = [](double a) { return a + 0.1 * a * a * a / 3; };
  EXPECT_EQ(adaptive([](double a) { return 1 + 0.1 * a * a; }, primitive, 0.01, 65).evaluations, 3);
}

TEST(Adaptive, GoesOnUntilAPeakIsResolved) {
  const double width = 0.05;
  const auto peak = [width](double a) { return std::exp(-(a - 0.47) * (a - 0.47) / (2 * width * width)); };
  const auto primitive = [width](double a) {
    return width * std::sqrt(M_PI / 2) * std::erf((a - 0.47) / (width * std::sqrt(2)));
  };
  const double truth = primitive(1) - primitive(0);
  const Adaptive found = adaptive(peak, primitive, 0.001, 257);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(number(found.integral.gradient), truth, 0.001 * truth);
  // The trapezoid's halves are off by 2.8 % with 17 points and by 0.7 % with 33; ten times the tolerance is allowed.
  EXPECT_EQ(found.integral.evaluations, 33);
  EXPECT_EQ(found.distinct, 33);  // every level re-uses the earlier ones' points
}

TEST(Adaptive, SaysWhenItCouldNot) {
  const auto step = [](double a) { return a < 0.5 ? 0.0 : 1.0; };
  const auto other = [](double a) { return a / 4; };  // no primitive of it: a path that is not what it says
  const Adaptive found = adaptive(step, other, 1e-6, 17);
  EXPECT_FALSE(found.integral.converged);
  EXPECT_EQ(found.evaluations, 17);
}

TEST(Adaptive, LevelsThatAgreeOnAWrongSumGoOn) {
  // Nothing at 0, 1/4, 1/2, 3/4 and 1: three levels agree on 0, and only the residual knows better.
  const auto hidden = [](double a) { return std::pow(std::sin(4 * M_PI * a), 2); };
  const auto primitive = [](double a) { return a / 2 - std::sin(8 * M_PI * a) / (16 * M_PI); };
  const Adaptive found = adaptive(hidden, primitive, 0.001, 65);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(number(found.integral.gradient), 0.5, 5e-4);
  EXPECT_GE(found.evaluations, 9);
}

TEST(Adaptive, ErrorsThatCancelOverThePathDoNotStopIt) {
  // Odd about the middle but for a constant: the whole is right at once, its halves are not.
  const auto odd = [](double a) { return 1 + 10 * std::sin(2 * M_PI * a) + 8 * std::sin(6 * M_PI * a); };
  const auto primitive = [](double a) {
    return a - 10 * std::cos(2 * M_PI * a) / (2 * M_PI) - 8 * std::cos(6 * M_PI * a) / (6 * M_PI);
  };
  EXPECT_GT(adaptive(odd, primitive, 0.01, 257).evaluations, 3);
}

/// Some neurons at some positions, m = alpha: whatever their gradients [pos, neuron] are, the slope is 1.
class HiddenGradients : public PathNetwork {
 public:
  using Gradients = std::function<at::Tensor(double)>;
  explicit HiddenGradients(Gradients gradients) : gradients_(std::move(gradients)) {}
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override {
    for (std::size_t i = 0; i < points.size(); ++i) {
      visit(i, {points[i].alpha, 1, {}, gradients_(points[i].alpha).unsqueeze(0), {}});
    }
  }

 private:
  Gradients gradients_;
};

TEST(Adaptive, ErrorsThatCancelBetweenNeuronsDoNotStopIt) {
  // Two neurons that change by 1: their slopes sum to 1 everywhere, and three points give 34.3 and -33.3.
  const HiddenGradients path([](double a) {
    const double wave = 50 * std::pow(std::sin(M_PI * a), 2);
    return at::tensor({1 + wave, -wave}, at::kDouble).view({1, 2});
  });
  for (const auto residual : {AdaptiveOptions::Residual::required, AdaptiveOptions::Residual::ignored}) {
    const PathIntegral found =
        integrate_adaptive(path, {{}}, {0.01, 65, AdaptiveOptions::Agreement::sum, residual}).front();
    EXPECT_TRUE(found.converged);
    EXPECT_NEAR(found.gradient[0][0][0].item<double>(), 26, 0.26);
    EXPECT_NEAR(found.gradient[0][0][1].item<double>(), -25, 0.25);
    EXPECT_FALSE(
        integrate_adaptive(path, {{}}, {0.01, 3, AdaptiveOptions::Agreement::sum, residual}).front().converged);
  }
}

TEST(Adaptive, PositionsBeforeTheGoalsDoNotCount) {
  const HiddenGradients path([](double a) {
    return at::tensor({50 * std::pow(std::sin(M_PI * a), 2), 1.0}, at::kDouble).view({2, 1});
  });
  EXPECT_EQ(integrate_adaptive(path, {{.positions = 1}}, {}).front().evaluations, 3);
  EXPECT_GT(integrate_adaptive(path, {{.positions = 2}}, {}).front().evaluations, 5);
  EXPECT_GT(integrate_adaptive(path, {{}}, {}).front().evaluations, 5);
}

TEST(Adaptive, NothingAtAllIsThereAtOnce) {
  const FormulaPath path([](double) { return 0; }, [](double) { return 0; });
  const PathIntegral found = integrate_adaptive(path, {{}}, {}).front();
  EXPECT_TRUE(found.converged);
  EXPECT_EQ(found.evaluations, 3);
}

TEST(Adaptive, WithoutATrueDifferenceAgreementAloneDecides) {
  const auto smooth = [](double a) { return std::exp(a); };
  const Adaptive found = adaptive(smooth, {}, 1e-3, 65, AdaptiveOptions::Residual::ignored);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(number(found.integral.gradient), std::exp(1) - 1, 1e-4);
  EXPECT_EQ(found.evaluations, 5);  // Boole agrees with Simpson
}

TEST(Adaptive, ConductanceAgreesLevelByLevel) {
  const FormulaPath path([](double a) { return a * a; },
                         [](double a) { return std::exp(a); });  // integral of 2a exp(a) is 2
  const auto found = integrate_adaptive(
      path, {{}}, {1e-3, 257, AdaptiveOptions::Agreement::conductance, AdaptiveOptions::Residual::required});
  EXPECT_TRUE(found.front().converged);
  EXPECT_NEAR(number(found.front().conductance), 2, 2e-3);
}

TEST(Adaptive, TheFloorIsWhatATinyDifferenceIsRelativeTo) {
  const auto wave = [](double a) { return 1e-3 * (1 + std::cos(7 * a) / 200); };
  const auto primitive = [](double a) { return 1e-3 * (a + std::sin(7 * a) / 1400); };
  using Residual = AdaptiveOptions::Residual;
  EXPECT_EQ(adaptive(wave, primitive, 0.001, 257, Residual::required, 1.0).evaluations, 3);
  EXPECT_GT(adaptive(wave, primitive, 0.001, 257, Residual::required, 0.0).evaluations, 3);
}

TEST(Adaptive, ItsSumAndVectorsAreThoseOfTheSamePoints) {
  const auto primitive = [](double a) { return std::exp(2 * a) / 2; };
  const Adaptive found = adaptive([](double a) { return std::exp(2 * a); }, primitive, 1e-4, 257);
  EXPECT_TRUE(found.integral.converged);
  EXPECT_NEAR(found.integral.sum, number(found.integral.gradient), 1e-12);
  EXPECT_NEAR(number(found.integral.input_gradient), -number(found.integral.gradient), 1e-12);
  EXPECT_NEAR(found.integral.difference, (std::exp(2) - 1) / 2, 1e-12);
}

TEST(Integrate, PlansThatShareEvaluationsGetTheBitsOfEachAlone) {
  const FormulaPath path([](double a) { return a * a; }, [](double a) { return std::sin(3 * a); },
                         [](double a) { return 2 * a * std::sin(3 * a); }, [](double a) { return a; });
  const std::vector<SweepPlan> plans = {interval_sweep(Quadrature::trapezoid, 4),
                                        interval_sweep(Quadrature::left, 2),
                                        {nodes_of(Quadrature::gauss_legendre, 3), IntervalGradient::mean},
                                        captum_sweep(Quadrature::midpoint, 3)};
  const auto together = integrate(path, {0, 0}, plans);
  EXPECT_EQ(path.count, 2 * (5 + 0 + 2 + 4));  // the left rule has the trapezoid's points, Gauss-Legendre one of them
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const auto alone = integrate(path, {0, 0}, plans[i]);
    for (std::size_t example = 0; example < 2; ++example) {
      EXPECT_EQ(number(together[i][example].gradient), number(alone[example].gradient));
      EXPECT_EQ(number(together[i][example].conductance), number(alone[example].conductance));
      EXPECT_EQ(number(together[i][example].input_gradient), number(alone[example].input_gradient));
      EXPECT_EQ(together[i][example].sum, alone[example].sum);
      EXPECT_EQ(together[i][example].evaluations, alone[example].evaluations);
    }
  }
  EXPECT_EQ(together[0][0].evaluations, 5);
  EXPECT_EQ(together[1][0].evaluations, 3);
  EXPECT_DOUBLE_EQ(together[0][0].difference, 1);
  EXPECT_TRUE(std::isnan(together[2][0].difference));  // it never saw the ends, though another plan did
}

/// v = alpha^(1 + example), dm/dv = exp(alpha), two points in a call of the network, whose samples are parts of the
/// call's tensors as a transformer's are.
class CallsOfTwo : public PathNetwork {
 public:
  void evaluate(const std::vector<PathPoint>& points, const Visit& visit) const override {
    for (std::size_t first = 0; first < points.size(); first += 2) {
      const at::Tensor values = at::empty({2, 1, 1, 1}, at::kDouble);
      const at::Tensor gradients = at::empty({2, 1, 1, 1}, at::kDouble);
      for (std::size_t i = first; i < std::min(first + 2, points.size()); ++i) {
        const auto place = static_cast<std::int64_t>(i - first);
        values[place].fill_(std::pow(points[i].alpha, 1 + static_cast<double>(points[i].example)));
        gradients[place].fill_(std::exp(points[i].alpha));
        visit(i, {points[i].alpha, 1, values[place], gradients[place], {}});
      }
      held += static_cast<std::int64_t>(values.storage().use_count() + gradients.storage().use_count()) - 2;
      ++calls;
    }
  }

  mutable std::int64_t held = 0;  // tensors of finished calls that somebody still holds
  mutable std::int64_t calls = 0;
};

TEST(Integrate, HoldsNoCallOfTheNetwork) {
  const CallsOfTwo path;
  SweepPlan right = interval_sweep(Quadrature::right, 4);
  right.gradients = false;
  const std::vector<SweepPlan> plans{interval_sweep(Quadrature::trapezoid, 4), interval_sweep(Quadrature::left, 2),
                                     right, captum_sweep(Quadrature::midpoint, 3)};
  const auto found = integrate(path, {0, 1, 2}, plans);
  EXPECT_EQ(path.held, 0);
  EXPECT_EQ(path.calls, 14);
  double sum = 0;  // gradient at the far end of each interval
  for (int j = 1; j <= 4; ++j) sum += std::exp(j / 4.0) * (std::pow(j / 4.0, 3) - std::pow((j - 1) / 4.0, 3));
  EXPECT_DOUBLE_EQ(number(found[2][2].conductance), sum);
  EXPECT_FALSE(found[2][2].gradient.defined());
  EXPECT_TRUE(found[0][2].gradient.defined());
}

TEST(Integrate, SumsNoConductanceThatNobodyWants) {
  SweepPlan plan = interval_sweep(Quadrature::trapezoid, 4);
  plan.conductance = false;
  const PathIntegral found = integrate(CallsOfTwo(), {1}, plan).front();
  EXPECT_FALSE(found.conductance.defined());
  EXPECT_EQ(number(found.gradient),
            number(integrate(CallsOfTwo(), {1}, interval_sweep(Quadrature::trapezoid, 4)).front().gradient));
}

TEST(Adaptive, ConductanceHoldsNoCallOfTheNetwork) {
  AdaptiveOptions options{1e-12, 17, AdaptiveOptions::Agreement::conductance, AdaptiveOptions::Residual::required};
  const CallsOfTwo path;
  const auto all = integrate_adaptive(path, {{}, {}, {}}, options);
  EXPECT_EQ(path.held, 0);
  for (std::int64_t example = 0; example < 3; ++example) {
    // The finest level is a sweep of as many points, in the same order of additions.
    const auto sweep = integrate(path, {example}, interval_sweep(Quadrature::trapezoid, 16));
    EXPECT_EQ(number(all[static_cast<std::size_t>(example)].conductance), number(sweep.front().conductance));
    EXPECT_EQ(all[static_cast<std::size_t>(example)].evaluations, 17);
    EXPECT_FALSE(all[static_cast<std::size_t>(example)].converged);
  }
  for (const std::int64_t together : {1, 2}) {
    options.together = together;
    const auto some = integrate_adaptive(path, {{}, {}, {}}, options);
    for (std::size_t example = 0; example < 3; ++example) {
      EXPECT_EQ(number(some[example].conductance), number(all[example].conductance));
      EXPECT_EQ(some[example].evaluations, 17);
    }
  }
}

TEST(Adaptive, SamplesHeldAreThoseOfAllLevelsButTheLast) {
  EXPECT_EQ(samples_held(3), 2);
  EXPECT_EQ(samples_held(4), 2);
  EXPECT_EQ(samples_held(5), 3);
  EXPECT_EQ(samples_held(65), 33);
  EXPECT_EQ(samples_held(1), 2);
}

TEST(Integrate, TheSumIsTheWeightedSlope) {
  const FormulaPath path([](double a) { return a; }, [](double a) { return a; }, [](double a) { return 1 + 4 * a; });
  EXPECT_DOUBLE_EQ(integrate(path, {0}, {nodes_of(Quadrature::right, 4), IntervalGradient::mean}).front().sum,
                   (2.0 + 3 + 4 + 5) / 4);
}

}  // namespace
}  // namespace tributary
