// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/integrate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
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

/// sum += interval gradient × change, over one interval.
void add_interval(at::Tensor& sum, const PathSample& left, const PathSample& right, IntervalGradient which) {
  const at::Tensor change = right.value - left.value;
  switch (which) {
    case IntervalGradient::left:
      sum.addcmul_(left.gradient, change);
      return;
    case IntervalGradient::right:
      sum.addcmul_(right.gradient, change);
      return;
    case IntervalGradient::mean:
      sum.addcmul_(left.gradient + right.gradient, change, 0.5);
      return;
  }
  throw ContractViolation("an interval gradient outside the enumeration");
}

/// m at both ends, as far as they have been seen.
class Ends {
 public:
  void see(double alpha, double metric) {
    if (alpha == 0) start_ = metric;
    if (alpha == 1) end_ = metric;
  }
  [[nodiscard]] double difference() const { return end_ - start_; }

 private:
  double start_ = std::numeric_limits<double>::quiet_NaN();
  double end_ = std::numeric_limits<double>::quiet_NaN();
};

/// Adds samples in order of alpha; keeps only the previous one.
class RunningIntegral {
 public:
  explicit RunningIntegral(IntervalGradient interval) : interval_(interval) {}

  void add(double alpha, const PathSample& sample, double weight) {
    if (weight != 0) {
      accumulate(integral_.gradient, sample.gradient, weight);
      accumulate(integral_.input_gradient, sample.input_gradient, weight);
    }
    integral_.sum += weight * sample.slope;
    ends_.see(alpha, sample.metric);
    if (sample.value.defined()) {
      if (integral_.evaluations == 0) {
        integral_.conductance = at::zeros_like(sample.gradient);
      } else {
        add_interval(integral_.conductance, previous_, sample, interval_);
      }
      previous_ = sample;
    }
    ++integral_.evaluations;
  }

  [[nodiscard]] PathIntegral take() {
    integral_.difference = ends_.difference();
    return std::move(integral_);
  }

 private:
  IntervalGradient interval_;
  PathIntegral integral_;
  PathSample previous_;
  Ends ends_;
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
    const auto entered = static_cast<std::size_t>(level);
    gradients_.resize(std::max(gradients_.size(), entered + 1));
    input_gradients_.resize(gradients_.size());
    slopes_.resize(gradients_.size());
    accumulate(gradients_[entered], sample.gradient, 1);
    accumulate(input_gradients_[entered], sample.input_gradient, 1);
    slopes_[entered] += sample.slope;
    ends_.see(alpha, sample.metric);
    if (keep_samples_) samples_[alpha] = sample;
    ++evaluations_;
  }

  /// What decides whether a level is the last, without its vectors.
  [[nodiscard]] double sum(int level) const {
    const std::vector<double> weights = level_weights(level);
    double sum = 0;
    for (std::size_t entered = 0; entered < weights.size(); ++entered) sum += weights[entered] * slopes_[entered];
    return sum;
  }
  [[nodiscard]] double difference() const { return ends_.difference(); }

  [[nodiscard]] at::Tensor conductance() const {
    RunningIntegral running(IntervalGradient::mean);
    for (const auto& [alpha, sample] : samples_) running.add(alpha, sample, 0);
    return running.take().conductance;
  }

  [[nodiscard]] PathIntegral estimate(int level) const {
    PathIntegral integral;
    const std::vector<double> weights = level_weights(level);
    for (std::size_t entered = 0; entered < weights.size(); ++entered) {
      accumulate(integral.gradient, gradients_[entered], weights[entered]);
      accumulate(integral.input_gradient, input_gradients_[entered], weights[entered]);
    }
    integral.sum = sum(level);
    integral.difference = difference();
    integral.evaluations = evaluations_;
    return integral;
  }

 private:
  bool keep_samples_;
  std::vector<at::Tensor> gradients_, input_gradients_;
  std::vector<double> slopes_;
  std::map<double, PathSample> samples_;  // by alpha; conductance's intervals change with every level
  Ends ends_;
  int evaluations_ = 0;
};

std::vector<double> new_points(int level) {
  if (level == 0) return {0, 1};
  std::vector<double> points;
  for (int odd = 1; odd < (1 << level); odd += 2) points.push_back(std::ldexp(odd, -level));
  return points;
}

double l1(const at::Tensor& t) { return t.abs().sum(at::kDouble).item<double>(); }

/// The sums of two successive levels.
struct Levels {
  double now, before;
};

/// Whether a level may be the last, by its sums.
bool sums_accepted(const Levels& sums, double difference, double floor, const AdaptiveOptions& options) {
  const double scale = std::max(std::abs(difference), floor);
  const double change = std::abs(sums.now - sums.before);
  if (options.residual == AdaptiveOptions::Residual::ignored) {
    return change <= options.tolerance * std::max(std::abs(sums.now), scale);
  }
  const double allowed = options.tolerance * scale;
  return std::abs(sums.now - difference) <= allowed && change <= 10 * allowed;
}

/// The points that any of the plans has, ascending, with each plan's weight there (nothing: not one of its points).
struct SharedPoint {
  double alpha;
  std::vector<std::optional<double>> weights;
};

std::vector<SharedPoint> shared_points(const std::vector<SweepPlan>& plans) {
  std::map<double, std::vector<std::optional<double>>> by_alpha;
  for (std::size_t plan = 0; plan < plans.size(); ++plan) {
    const Nodes& nodes = plans[plan].nodes;
    for (std::size_t k = 0; k < nodes.alpha.size(); ++k) {
      auto& weights = by_alpha[nodes.alpha[k]];
      weights.resize(plans.size());
      weights[plan] = nodes.weight[k];
    }
  }
  std::vector<SharedPoint> points;
  for (auto& [alpha, weights] : by_alpha) points.push_back({alpha, std::move(weights)});
  return points;
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

std::vector<std::vector<PathIntegral>> integrate(const PathNetwork& network, const std::vector<std::int64_t>& examples,
                                                 const std::vector<SweepPlan>& plans) {
  const std::vector<SharedPoint> shared = shared_points(plans);
  std::vector<PathPoint> points;
  for (const std::int64_t example : examples) {
    for (const SharedPoint& point : shared) points.push_back({example, point.alpha});
  }
  std::vector<std::vector<RunningIntegral>> running;  // [plan][example]
  for (const SweepPlan& plan : plans) running.emplace_back(examples.size(), RunningIntegral(plan.interval));
  network.evaluate(points, [&](std::size_t index, const PathSample& sample) {
    const SharedPoint& point = shared[index % shared.size()];
    for (std::size_t plan = 0; plan < plans.size(); ++plan) {
      if (const std::optional<double>& weight = point.weights[plan]) {
        running[plan][index / shared.size()].add(point.alpha, sample, *weight);
      }
    }
  });
  std::vector<std::vector<PathIntegral>> integrals(plans.size());
  for (std::size_t plan = 0; plan < plans.size(); ++plan) {
    for (RunningIntegral& one : running[plan]) integrals[plan].push_back(one.take());
  }
  return integrals;
}

std::vector<PathIntegral> integrate(const PathNetwork& network, const std::vector<std::int64_t>& examples,
                                    const SweepPlan& plan) {
  return std::move(integrate(network, examples, std::vector<SweepPlan>{plan}).front());
}

std::vector<PathIntegral> integrate_adaptive(const PathNetwork& network, const std::vector<double>& floors,
                                             const AdaptiveOptions& options) {
  const bool by_conductance = options.agreement == AdaptiveOptions::Agreement::conductance;
  std::vector<NestedIntegral> nested(floors.size(), NestedIntegral(options.agreement));
  std::vector<PathIntegral> estimates(floors.size());
  std::vector<double> sums(floors.size());
  std::vector<at::Tensor> conductances(floors.size());
  std::vector<std::size_t> open(floors.size());
  for (std::size_t example = 0; example < open.size(); ++example) open[example] = example;

  for (int level = 0; !open.empty(); ++level) {
    const bool last = (1 << (level + 1)) + 1 > std::max(options.max_points, 3);
    std::vector<PathPoint> points;
    for (const std::size_t example : open) {
      for (const double alpha : new_points(level)) points.push_back({static_cast<std::int64_t>(example), alpha});
    }
    network.evaluate(points, [&](std::size_t index, const PathSample& sample) {
      nested[static_cast<std::size_t>(points[index].example)].add(level, points[index].alpha, sample);
    });
    std::vector<std::size_t> still_open;
    for (const std::size_t example : open) {
      const NestedIntegral& one = nested[example];
      const double sum = one.sum(level);
      bool accepted = false;
      if (by_conductance) {
        const at::Tensor now = one.conductance();
        accepted = level > 0 && l1(now - conductances[example]) <= options.tolerance * l1(now);
        conductances[example] = now;
      } else {
        accepted = level > 0 && sums_accepted({sum, sums[example]}, one.difference(), floors[example], options);
      }
      sums[example] = sum;
      if (!accepted && !last) {
        still_open.push_back(example);
        continue;
      }
      estimates[example] = one.estimate(level);
      estimates[example].conductance = conductances[example];
      estimates[example].converged = accepted;
      nested[example] = NestedIntegral(options.agreement);  // its sums are no longer needed
    }
    open = std::move(still_open);
  }
  return estimates;
}

}  // namespace tributary
