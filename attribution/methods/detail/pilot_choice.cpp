// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/pilot_choice.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "attribution/methods/attribute.h"
#include "attribution/methods/detail/task_scores.h"

namespace tributary::detail {

std::vector<int> cheapest_candidates(const PathNetwork& path, const Method& method, const std::vector<PilotGoal>& goals,
                                     const std::function<void()>& pause) {
  const std::vector<RulePoints>& candidates = pilot_candidates();
  std::vector<std::map<double, double>> slopes(goals.size());  // by example and alpha
  std::vector<int> chosen(goals.size(), static_cast<int>(candidates.size()) - 1);
  std::vector<std::size_t> open(goals.size());
  for (std::size_t example = 0; example < open.size(); ++example) open[example] = example;
  for (std::size_t i = 0; i + 1 < candidates.size() && !open.empty(); ++i) {
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
      if (std::abs(sum - goal.difference) <= allowed) {
        chosen[example] = static_cast<int>(i);
      } else {
        still_open.push_back(example);
      }
    }
    open = std::move(still_open);
  }
  return chosen;
}

}  // namespace tributary::detail
