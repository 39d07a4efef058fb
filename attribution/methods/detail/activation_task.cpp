// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "attribution/methods/detail/node_scores.h"
#include "attribution/methods/detail/pilot_choice.h"
#include "attribution/methods/detail/task_scores.h"
#include "attribution/model/detail/staging.h"

namespace tributary::detail {
namespace {

/// The examples of layer l, one a pair.
std::vector<std::int64_t> examples_of(const ActivationPath& path, std::int64_t l, std::int64_t pairs) {
  std::vector<std::int64_t> examples;
  for (std::int64_t pair = 0; pair < pairs; ++pair) examples.push_back(path.example(l, pair));
  return examples;
}

/// A fixed plan a layer: layers with equal plans are integrated together, so that they share network calls.
std::vector<PathIntegral> integrate_fixed(const MicroBatch& micro, const ActivationPath& path, const Task& task) {
  std::vector<PathIntegral> integrals(static_cast<std::size_t>(path.examples()));
  std::vector<std::pair<SweepPlan, std::vector<std::int64_t>>> by_plan;
  for (std::int64_t l = 0; l < task.options.layers.count(); ++l) {
    SweepPlan plan = plan_of(task, l);
    auto same = std::find_if(by_plan.begin(), by_plan.end(),
                             [&plan](const auto& one) { return one.first.nodes.alpha == plan.nodes.alpha; });
    if (same == by_plan.end()) {
      by_plan.emplace_back(std::move(plan), std::vector<std::int64_t>());
      same = std::prev(by_plan.end());
    }
    for (const std::int64_t example : examples_of(path, l, micro.pairs())) same->second.push_back(example);
  }
  for (const auto& [plan, examples] : by_plan) {
    std::vector<PathIntegral> some = integrate(path, examples, plan);
    for (std::size_t i = 0; i < examples.size(); ++i) {
      integrals[static_cast<std::size_t>(examples[i])] = std::move(some[i]);
    }
    micro.pause();
  }
  return integrals;
}

std::vector<PathIntegral> integrate_task(const MicroBatch& micro, const ActivationPath& path, const Task& task) {
  if (task.method.quadrature != Quadrature::adaptive) return integrate_fixed(micro, path, task);
  std::vector<AdaptiveGoal> goals;
  for (std::int64_t example = 0; example < path.examples(); ++example) {
    goals.push_back(micro.goal_of(example % micro.pairs(), task.method));
  }
  return integrate_adaptive(path, goals, adaptive_options(task));
}

/// Whether any layer's points include the run that stays as it is.
bool uses_base(const Task& task) {
  if (task.method.quadrature == Quadrature::adaptive) return true;
  for (std::int64_t l = 0; l < task.options.layers.count(); ++l) {
    const std::vector<double>& alpha = plan_of(task, l).nodes.alpha;
    if (std::find(alpha.begin(), alpha.end(), base_alpha(task.method)) != alpha.end()) return true;
  }
  return false;
}

/// Mean gradients of what is read in one layer [pair, pos, width].
at::Tensor mean_gradients(const ActivationPath& path, std::int64_t l, const std::vector<PathIntegral>& integrals,
                          std::int64_t pairs) {
  std::vector<at::Tensor> gradients;
  for (const std::int64_t example : examples_of(path, l, pairs)) {
    gradients.push_back(integrals[static_cast<std::size_t>(example)].gradient);  // [1, suffix, d_model]
  }
  return path.to_values(l, at::cat(gradients));
}

void audit(const MicroBatch& micro, const ActivationPath& path, TaskScores& task,
           const std::vector<PathIntegral>& integrals, const std::vector<at::Tensor>& differences,
           const std::vector<at::Tensor>& scores) {
  for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
    if (!task.audited(pair)) continue;
    for (std::int64_t l = 0; l < task.layers(); ++l) {
      const std::int64_t example = path.example(l, pair);
      const SweepPlan plan = audit_plan(task.task(), integrals[static_cast<std::size_t>(example)].evaluations);
      const PathIntegral finer = integrate(path, {example}, plan).front();
      const at::Tensor& difference = differences[static_cast<std::size_t>(l)];
      const at::Tensor finer_scores = at::empty_like(scores[static_cast<std::size_t>(l)][pair]);  // [pos, node]
      write_products(finer_scores, difference[pair], path.to_values(l, finer.gradient)[0], task.nodes());
      task.store_audit(pair, l, scores[static_cast<std::size_t>(l)][pair], finer_scores);
    }
  }
}

/// Where the layers' sums [pair, layer] are from the true effects: of all pairs a residual, of some the gap.
void store_differences(const MicroBatch& micro, TaskScores& task, const std::vector<PathIntegral>& integrals,
                       const at::Tensor& sums) {
  std::vector<char> wanted(static_cast<std::size_t>(micro.pairs()), 1);
  if (!task.method().has_identity()) wanted = task.gap_pairs(micro.pairs());
  if (!any_marked(wanted)) return;
  at::Tensor effects = at::full({task.layers(), micro.pairs()}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  bool known = micro.one_network();  // both ends were evaluated on the way
  for (std::size_t example = 0; example < integrals.size() && known; ++example) {
    if (wanted[example % wanted.size()] == 0) continue;
    effects.mutable_data_ptr<double>()[example] = integrals[example].difference;
    known = std::isfinite(integrals[example].difference);
  }
  if (!known) effects = micro.effects(task.method(), task.options(), wanted);
  task.store({difference_kind(task.method()), sums - effects.t()});
}

}  // namespace

void run_activation_task(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.working();
  ActivationPath path = micro.activation_path(runs, task.method(), task.options(), task.method().rules);
  if (uses_base(task.task())) {
    path.know_base(micro.gradients(base_group(task.method()), task.method().rules));
  }
  const std::vector<PathIntegral> integrals = integrate_task(micro, path, task.task());

  const at::Tensor all =
      at::zeros({micro.pairs(), task.layers(), micro.suffix(), task.nodes().nodes}, runs.model().score_options());
  std::vector<at::Tensor> differences, scores;  // [l] of [pair, pos, width], [pair, pos, node]
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    differences.push_back(micro.difference(runs, task.method(), task.options(), task.options().layers.first + l));
    const std::int64_t positions = differences.back().size(1);
    write_products(all.select(1, l), differences.back(), mean_gradients(path, l, integrals, micro.pairs()),
                   task.nodes());
    scores.push_back(all.select(1, l).narrow(1, micro.suffix() - positions, positions));
    for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
      task.store_integral(pair, l, 1, integrals[static_cast<std::size_t>(path.example(l, pair))]);
    }
  }
  task.add(all);
  store_differences(micro, task, integrals, sum_by_position(all).cpu());
  audit(micro, path, task, integrals, differences, scores);
}

std::map<std::int64_t, SiteIntegrals> integrate_site(const MicroBatch& micro, const Task& task) {
  const BaseRuns& runs = micro.working();
  ActivationPath path = micro.activation_path(runs, task.method, task.options, task.method.rules);
  if (uses_base(task)) path.know_base(micro.gradients(base_group(task.method), task.method.rules));
  std::vector<PathIntegral> integrals = integrate_task(micro, path, task);
  const at::Tensor effects = micro.effects(task.method, task.options);  // [layer, pair]
  std::map<std::int64_t, SiteIntegrals> found;
  for (std::int64_t l = 0; l < task.options.layers.count(); ++l) {
    SiteIntegrals& here = found[task.options.layers.first + l];
    here.gradient = mean_gradients(path, l, integrals, micro.pairs());
    here.difference = at::empty({micro.pairs()}, at::kDouble);
    for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
      PathIntegral& integral = integrals[static_cast<std::size_t>(path.example(l, pair))];
      here.difference.mutable_data_ptr<double>()[pair] = integral.sum - effects[l][pair].item<double>();
      integral.gradient = at::Tensor();
      here.integrals.push_back(std::move(integral));
    }
  }
  return found;
}

PilotChoices activation_pilot(const MicroBatch& micro, const Task& task) {
  ActivationPath path = micro.activation_path(micro.working(), task.method, task.options, task.method.rules);
  path.know_base(micro.gradients(base_group(task.method), task.method.rules));
  const at::Tensor effects = micro.effects(task.method, task.options);
  std::vector<PilotGoal> goals;
  for (std::int64_t example = 0; example < path.examples(); ++example) {
    goals.push_back(
        {effects.const_data_ptr<double>()[example], micro.floor_of(example % micro.pairs(), task.method.tolerance)});
  }
  return tables_of(cheapest_candidates(path, task.method, goals, [&micro] { micro.pause(); }), micro.pairs());
}

}  // namespace tributary::detail
