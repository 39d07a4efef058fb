// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/integrate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "common/errors.h"

namespace tributary {
namespace {

/// sum += weight × term; terms arrive in order of alpha, so the order of additions is fixed.
void accumulate(at::Tensor& sum, const at::Tensor& term, double weight) {
  if (!term.defined()) return;
  if (!sum.defined()) {
    sum = term * weight;
  } else {
    sum.add_(term, weight);
  }
}

at::Tensor interval_gradient(const at::Tensor& left, const at::Tensor& right, IntervalGradient which) {
  switch (which) {
    case IntervalGradient::left:
      return left;
    case IntervalGradient::right:
      return right;
    case IntervalGradient::mean:
      return (left + right) * 0.5;
  }
  throw ContractViolation("an interval gradient outside the enumeration");
}

/// Adds samples in order of alpha; keeps only the previous one.
class RunningIntegral {
 public:
  explicit RunningIntegral(IntervalGradient interval) : interval_(interval) {}

  void add(const PathSample& sample, double weight) {
    accumulate(integral_.gradient, sample.gradient, weight);
    accumulate(integral_.input_gradient, sample.input_gradient, weight);
    if (integral_.evaluations == 0) {
      integral_.conductance = at::zeros_like(sample.gradient);
    } else {
      integral_.conductance.add_(interval_gradient(previous_.gradient, sample.gradient, interval_) *
                                 (sample.value - previous_.value));
    }
    previous_ = sample;
    ++integral_.evaluations;
  }

  [[nodiscard]] PathIntegral take() { return std::move(integral_); }

 private:
  IntervalGradient interval_;
  PathIntegral integral_;
  PathSample previous_;
};

/// Weight of the points that entered at each level 0 … `level` in that level's estimate.
std::vector<double> level_weights(int level) {
  if (level == 0) return {1.0 / 2};
  if (level == 1) return {1.0 / 6, 4.0 / 6};
  if (level == 2) return {7.0 / 90, 12.0 / 90, 32.0 / 90};
  std::vector<double> weights(static_cast<std::size_t>(level) + 1, std::ldexp(1.0, -level));
  weights[0] /= 2;
  return weights;
}

/// The nested integral of one example: sums of gradients by the level at which points entered.
class NestedIntegral {
 public:
  explicit NestedIntegral(AdaptiveOptions::Agreement agreement)
      : keep_samples_(agreement == AdaptiveOptions::Agreement::conductance) {}

  void add(int level, double alpha, const PathSample& sample) {
    gradients_.resize(std::max(gradients_.size(), static_cast<std::size_t>(level) + 1));
    input_gradients_.resize(gradients_.size());
    accumulate(gradients_[static_cast<std::size_t>(level)], sample.gradient, 1);
    accumulate(input_gradients_[static_cast<std::size_t>(level)], sample.input_gradient, 1);
    if (keep_samples_) samples_[alpha] = sample;
    ++evaluations_;
  }

  [[nodiscard]] PathIntegral estimate(int level) const {
    PathIntegral integral;
    const std::vector<double> weights = level_weights(level);
    for (std::size_t entered = 0; entered < weights.size(); ++entered) {
      accumulate(integral.gradient, gradients_[entered], weights[entered]);
      accumulate(integral.input_gradient, input_gradients_[entered], weights[entered]);
    }
    if (keep_samples_) integral.conductance = conductance();
    integral.evaluations = evaluations_;
    return integral;
  }

 private:
  [[nodiscard]] at::Tensor conductance() const {
    RunningIntegral running(IntervalGradient::mean);
    for (const auto& [alpha, sample] : samples_) running.add(sample, 0);
    return running.take().conductance;
  }

  bool keep_samples_;
  std::vector<at::Tensor> gradients_, input_gradients_;
  std::map<double, PathSample> samples_;  // by alpha; conductance's intervals change with every level
  int evaluations_ = 0;
};

std::vector<double> new_points(int level) {
  if (level == 0) return {0, 1};
  std::vector<double> points;
  for (int odd = 1; odd < (1 << level); odd += 2) points.push_back(std::ldexp(odd, -level));
  return points;
}

double l1(const at::Tensor& t) { return t.abs().sum(at::kDouble).item<double>(); }

/// One level's estimate and the sum of scores it stands for.
struct Level {
  const PathIntegral& integral;
  double sum;
};

/// Whether a level may be the last, given the one before.
bool accepted(const Level& now, const Level& before, const Target& target, const AdaptiveOptions& options) {
  if (options.agreement == AdaptiveOptions::Agreement::conductance) {
    return l1(now.integral.conductance - before.integral.conductance) <=
           options.tolerance * l1(now.integral.conductance);
  }
  const double change = std::abs(now.sum - before.sum);
  if (options.residual == AdaptiveOptions::Residual::ignored) {
    return change <= options.tolerance * std::max(std::abs(now.sum), target.scale);
  }
  const double allowed = options.tolerance * target.scale;
  return std::abs(now.sum - target.difference) <= allowed && change <= 10 * allowed;
}

}  // namespace

SweepPlan interval_sweep(Quadrature rule, int n) {
  TRIBUTARY_EXPECT(rule == Quadrature::left || rule == Quadrature::right || rule == Quadrature::trapezoid,
                   "interval sums exist for left, right and trapezoid");
  SweepPlan plan;
  plan.interval = rule == Quadrature::left    ? IntervalGradient::left
                  : rule == Quadrature::right ? IntervalGradient::right
                                              : IntervalGradient::mean;
  const double end = rule == Quadrature::trapezoid ? 0.5 / n : 0;  // weight of the end that the rule does not use
  for (int j = 0; j <= n; ++j) {
    plan.nodes.alpha.push_back(static_cast<double>(j) / n);
    plan.nodes.weight.push_back(1.0 / n);
  }
  if (rule != Quadrature::left) plan.nodes.weight.front() = end;
  if (rule != Quadrature::right) plan.nodes.weight.back() = end;
  return plan;
}

SweepPlan captum_sweep(Quadrature rule, int n) { return {nodes_of(rule, n + 1), IntervalGradient::left}; }

std::vector<PathIntegral> integrate(const PathNetwork& network, const std::vector<std::int64_t>& examples,
                                    const SweepPlan& plan) {
  const std::size_t per_example = plan.nodes.alpha.size();
  std::vector<PathPoint> points;
  for (const std::int64_t example : examples) {
    for (const double alpha : plan.nodes.alpha) points.push_back({example, alpha});
  }
  std::vector<RunningIntegral> running(examples.size(), RunningIntegral(plan.interval));
  network.evaluate(points, [&](std::size_t index, const PathSample& sample) {
    running[index / per_example].add(sample, plan.nodes.weight[index % per_example]);
  });
  std::vector<PathIntegral> integrals;
  for (RunningIntegral& one : running) integrals.push_back(one.take());
  return integrals;
}

std::vector<PathIntegral> integrate_adaptive(const PathNetwork& network, const std::vector<Target>& targets,
                                             const SumOf& sum_of, const AdaptiveOptions& options) {
  std::vector<NestedIntegral> nested(targets.size(), NestedIntegral(options.agreement));
  std::vector<PathIntegral> estimates(targets.size());
  std::vector<double> sums(targets.size());
  std::vector<std::size_t> open(targets.size());
  for (std::size_t example = 0; example < open.size(); ++example) open[example] = example;

  for (int level = 0; !open.empty() && (1 << level) + 1 <= std::max(options.max_points, 3); ++level) {
    std::vector<PathPoint> points;
    for (const std::size_t example : open) {
      for (const double alpha : new_points(level)) points.push_back({static_cast<std::int64_t>(example), alpha});
    }
    network.evaluate(points, [&](std::size_t index, const PathSample& sample) {
      nested[static_cast<std::size_t>(points[index].example)].add(level, points[index].alpha, sample);
    });
    std::vector<std::size_t> still_open;
    for (const std::size_t example : open) {
      PathIntegral estimate = nested[example].estimate(level);
      const double sum = sum_of(example, estimate);
      estimate.converged =
          level > 0 && accepted({estimate, sum}, {estimates[example], sums[example]}, targets[example], options);
      if (!estimate.converged) still_open.push_back(example);
      sums[example] = sum;
      estimates[example] = std::move(estimate);
    }
    open = std::move(still_open);
  }
  return estimates;
}

}  // namespace tributary
