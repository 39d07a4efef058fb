// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/integrate.h"

#include "attribution/model/tensors.h"

#include <map>
#include <optional>
#include <utility>

#include "attribution/methods/detail/running_integral.h"
#include "common/errors.h"

namespace tributary {
namespace {

using detail::RunningIntegral;

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
  for (const SweepPlan& plan : plans) running.emplace_back(examples.size(), RunningIntegral(plan));
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

}  // namespace tributary
