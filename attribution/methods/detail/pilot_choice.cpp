// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pilot_choice.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "attribution/methods/detail/task_scores.h"

namespace tributary::detail {
namespace {

double norm_of(const at::Tensor& t) { return t.abs().sum(at::kDouble).item<double>(); }

/// error / allowed, where nothing may be allowed.
double ratio_of(double error, double allowed) {
  if (error == 0) return 0;
  return allowed > 0 ? error / allowed : std::numeric_limits<double>::infinity();
}

}  // namespace

std::vector<PilotChoice> cheapest_candidates(const PathNetwork& path, const Method& method,
                                             const std::vector<PilotGoal>& goals, const std::function<void()>& pause) {
  const std::vector<RulePoints>& candidates = pilot_candidates();
  std::vector<std::map<double, double>> slopes(goals.size());  // by example and alpha
  std::vector<PilotChoice> chosen(goals.size());
  std::vector<std::size_t> open(goals.size());
  for (std::size_t example = 0; example < open.size(); ++example) open[example] = example;
  for (std::size_t i = 0; i < candidates.size() && !open.empty(); ++i) {
    const Nodes nodes = candidate_plan(method, candidates[i]).nodes;
    std::vector<PathPoint> points;
    for (const std::size_t example : open) {
      for (const double alpha : nodes.alpha) {
        if (slopes[example].count(alpha) == 0) points.push_back({static_cast<std::int64_t>(example), alpha});
      }
    }
    path.evaluate(points, [&](std::size_t index, const PathSample& sample) {
      slopes[static_cast<std::size_t>(points[index].example)][points[index].alpha] = sample.slope;
    });
    pause();
    std::vector<std::size_t> still_open;
    for (const std::size_t example : open) {
      double sum = 0;
      for (std::size_t k = 0; k < nodes.alpha.size(); ++k) sum += nodes.weight[k] * slopes[example][nodes.alpha[k]];
      const PilotGoal& goal = goals[example];
      const double allowed = method.tolerance * std::max(std::abs(goal.difference), goal.floor);
      chosen[example] = {static_cast<int>(i), ratio_of(std::abs(sum - goal.difference), allowed)};
      if (!(chosen[example].ratio <= 1)) still_open.push_back(example);
    }
    open = std::move(still_open);
  }
  return chosen;
}

std::vector<PilotChoice> cheapest_conductance(const PathNetwork& path, const Method& method, std::size_t examples,
                                              const std::function<void()>& pause) {
  const std::vector<RulePoints>& candidates = pilot_candidates();
  std::vector<PilotChoice> chosen(examples);
  std::vector<at::Tensor> before(examples);
  std::vector<std::int64_t> open(examples);
  std::iota(open.begin(), open.end(), 0);
  for (std::size_t i = 0; i < candidates.size() && !open.empty(); ++i) {
    std::vector<PathIntegral> integrals = integrate(path, open, candidate_plan(method, candidates[i]));
    pause();
    std::vector<std::int64_t> still_open;
    for (std::size_t k = 0; k < open.size(); ++k) {
      const auto example = static_cast<std::size_t>(open[k]);
      const at::Tensor last = std::exchange(before[example], integrals[k].conductance);
      const at::Tensor& now = before[example];
      const double ratio = last.defined() ? ratio_of(norm_of(now - last), method.tolerance * norm_of(now))
                                          : std::numeric_limits<double>::infinity();
      chosen[example] = {static_cast<int>(i), ratio};
      if (!(ratio <= 1)) still_open.push_back(open[k]);
    }
    open = std::move(still_open);
  }
  return chosen;
}

PilotChoices tables_of(const std::vector<PilotChoice>& choices, std::int64_t pairs) {
  const std::int64_t columns = std::ssize(choices) / pairs;
  PilotChoices tables{at::empty({pairs, columns}, at::kDouble), at::empty({pairs, columns}, at::kDouble)};
  for (std::int64_t example = 0; example < std::ssize(choices); ++example) {
    const PilotChoice& choice = choices[static_cast<std::size_t>(example)];
    const std::int64_t place = example % pairs * columns + example / pairs;
    tables.candidate.mutable_data_ptr<double>()[place] = choice.candidate;
    tables.ratio.mutable_data_ptr<double>()[place] = choice.ratio;
  }
  return tables;
}

}  // namespace tributary::detail
