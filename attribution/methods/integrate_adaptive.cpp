// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/integrate.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "attribution/methods/detail/nested_conductance.h"
#include "attribution/methods/detail/running_integral.h"
#include "attribution/model/detail/staging.h"

namespace tributary {
namespace {

using detail::accumulate;
using detail::Ends;
using detail::NestedConductance;

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
      : of_conductance_(agreement == AdaptiveOptions::Agreement::conductance) {}

  /// hold: whether a level may follow those that are evaluated now.
  void add(int level, double alpha, const PathSample& sample, NestedConductance::Hold hold) {
    const auto entered = static_cast<std::size_t>(level);
    gradients_.resize(std::max(gradients_.size(), entered + 1));
    input_gradients_.resize(gradients_.size());
    slopes_.resize(gradients_.size());
    if (!of_conductance_) accumulate(gradients_[entered], sample.gradient, 1);
    accumulate(input_gradients_[entered], sample.input_gradient, 1);
    slopes_[entered] += sample.slope;
    scalars_[alpha] = {sample.metric, sample.slope};
    ends_.see(alpha, sample.metric);
    if (of_conductance_) conductance_.add(alpha, sample, hold);
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

  /// The mean gradient at a level: what samples call gradient, or where they have none that of the embeddings.
  [[nodiscard]] at::Tensor mean_gradient(int level) const {
    const std::vector<double> weights = level_weights(level);
    at::Tensor mean;
    for (std::size_t entered = 0; entered < weights.size(); ++entered) {
      accumulate(mean, (gradients_[0].defined() ? gradients_ : input_gradients_)[entered], weights[entered]);
    }
    return mean;
  }

  /// The larger |residual| of the two halves of the path, each against its own true difference: by the parabola through
  /// three points, Simpson on each half, then the trapezoid.
  [[nodiscard]] double residual_of_halves(int level) const {
    const double first = scalars_.at(0.5).metric - scalars_.at(0).metric;
    const double second = scalars_.at(1).metric - scalars_.at(0.5).metric;
    return std::max(std::abs(half_sum(level, 0, 0.5) - first), std::abs(half_sum(level, 1, 0.5) - second));
  }

  /// From all points so far, once a level.
  [[nodiscard]] at::Tensor take_conductance() { return conductance_.take_level(); }

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
  struct Scalars {
    double metric, slope;
  };

  /// The integral of the slope between an end and the middle.
  [[nodiscard]] double half_sum(int level, double end, double middle) const {
    const auto slope = [this](double alpha) { return scalars_.at(alpha).slope; };
    if (level == 1) return (5 * slope(end) + 8 * slope(middle) - slope(1 - end)) / 24;
    if (level == 2) return (slope(end) + 4 * slope((end + middle) / 2) + slope(middle)) / 12;
    const double step = std::ldexp(1.0, -level);
    double sum = (slope(end) + slope(middle)) / 2;
    for (double alpha = std::min(end, middle) + step; alpha < std::max(end, middle); alpha += step) sum += slope(alpha);
    return sum * step;
  }

  bool of_conductance_;
  std::map<double, Scalars> scalars_;  // by alpha
  std::vector<at::Tensor> gradients_, input_gradients_;
  std::vector<double> slopes_;
  NestedConductance conductance_;
  Ends ends_;
  int evaluations_ = 0;
};

std::vector<double> new_points(int level) {
  if (level == 0) return {0, 1};
  std::vector<double> points;
  for (int odd = 1; odd < (1 << level); odd += 2) points.push_back(std::ldexp(odd, -level));
  return points;
}

/// Σ|t| over the last positions of t [..., pos, width]; 0: over all.
double l1_of_last(const at::Tensor& t, std::int64_t positions) {
  const std::int64_t count = positions == 0 ? t.size(-2) : std::min(positions, t.size(-2));
  return detail::sum_by_position(t.narrow(-2, t.size(-2) - count, count).abs()).sum().item<double>();
}

/// The finest level that takes no more points than allowed; levels 0 and 1 are always evaluated.
int last_level(int max_points) {
  int level = 1;
  while ((2 << level) + 1 <= max_points) ++level;
  return level;
}

/// One example of an adaptive integration.
class AdaptiveExample {
 public:
  AdaptiveExample(const AdaptiveGoal& goal, const AdaptiveOptions& options)
      : options_(options), goal_(goal), nested_(options.agreement) {}

  [[nodiscard]] bool open() const { return !finished_; }
  /// The points to evaluate next, ascending in alpha, and the level that each enters at.
  [[nodiscard]] std::map<double, int> wanted() const {
    std::map<double, int> points;
    for (int level = level_ + 1; level <= next_; ++level) {
      for (const double alpha : new_points(level)) points[alpha] = level;
    }
    return points;
  }
  void add(int level, double alpha, const PathSample& sample) {
    using Hold = NestedConductance::Hold;
    nested_.add(level, alpha, sample, allowed(next_ + 1) ? Hold::yes : Hold::no);
  }

  /// Judges the levels that the new points complete, in order, until one of them is the last.
  void judge() {
    for (const int goal = next_; level_ < goal;) {
      ++level_;
      const Decision decision = decide();
      sum_before_ = nested_.sum(level_);
      if (decision != Decision::refine) return finish(decision);
    }
    next_ = far_from_goal() && allowed(level_ + 2) ? level_ + 2 : level_ + 1;
  }

  [[nodiscard]] PathIntegral take() { return std::move(result_); }

 private:
  enum class Decision { accept, give_up, refine };

  [[nodiscard]] bool allowed(int level) const { return level <= last_level(options_.max_points); }

  /// On the level at hand; the first one has nothing to be compared with.
  [[nodiscard]] Decision decide() {
    if (level_ > 0 && good_enough()) return Decision::accept;
    return allowed(level_ + 1) ? Decision::refine : Decision::give_up;
  }

  /// Far from the goal one more level will not do: two at a time fill a network call better.
  [[nodiscard]] bool far_from_goal() const {
    constexpr double far = 30;
    return options_.residual == AdaptiveOptions::Residual::required &&
           options_.agreement == AdaptiveOptions::Agreement::sum &&
           std::abs(sum_before_ - nested_.difference()) > far * options_.tolerance * scale();
  }

  [[nodiscard]] double scale() const { return std::max(std::abs(nested_.difference()), goal_.floor); }

  [[nodiscard]] bool good_enough() {
    if (options_.agreement == AdaptiveOptions::Agreement::conductance) {
      const at::Tensor now = nested_.take_conductance();
      const auto size = [this](const at::Tensor& t) { return l1_of_last(t, goal_.positions); };
      const bool agree = conductance_.defined() && size(now - conductance_) <= options_.tolerance * size(now);
      conductance_ = now;
      return agree;
    }
    return sum_is_good() && gradients_agree();
  }

  [[nodiscard]] bool sum_is_good() const {
    const double sum = nested_.sum(level_);
    if (options_.residual == AdaptiveOptions::Residual::ignored) {
      return std::abs(sum - sum_before_) <= options_.tolerance * std::max(std::abs(sum), scale());
    }
    return std::abs(sum - nested_.difference()) <= options_.tolerance * scale() &&
           nested_.residual_of_halves(level_) <= 10 * options_.tolerance * scale();
  }

  [[nodiscard]] bool gradients_agree() const {
    constexpr double wider = 20;
    const at::Tensor mean = nested_.mean_gradient(level_);
    const double change = l1_of_last(mean - nested_.mean_gradient(level_ - 1), goal_.positions);
    return change <= wider * options_.tolerance * l1_of_last(mean, goal_.positions);
  }

  void finish(Decision decision) {
    result_ = nested_.estimate(level_);
    result_.conductance = conductance_;
    result_.converged = decision == Decision::accept;
    finished_ = true;
    nested_ = NestedIntegral(options_.agreement);  // its sums are no longer needed
  }

  const AdaptiveOptions& options_;
  AdaptiveGoal goal_;
  NestedIntegral nested_;
  int level_ = -1;         // judged so far
  int next_ = 1;           // to evaluate before the next judgement; nothing stops at level 0
  double sum_before_ = 0;  // at the level judged last
  at::Tensor conductance_;
  bool finished_ = false;
  PathIntegral result_;
};

/// Some examples side by side, the first of which is the network's example `first`.
void integrate_together(const PathNetwork& network, std::vector<AdaptiveExample>& examples, std::size_t first,
                        std::size_t end) {
  for (;;) {
    std::vector<PathPoint> points;
    std::vector<int> levels;
    for (std::size_t i = first; i < end; ++i) {
      if (!examples[i].open()) continue;
      for (const auto& [alpha, level] : examples[i].wanted()) {
        points.push_back({static_cast<std::int64_t>(i), alpha});
        levels.push_back(level);
      }
    }
    if (points.empty()) return;
    network.evaluate(points, [&](std::size_t index, const PathSample& sample) {
      examples[static_cast<std::size_t>(points[index].example)].add(levels[index], points[index].alpha, sample);
    });
    for (std::size_t i = first; i < end; ++i) {
      if (examples[i].open()) examples[i].judge();
    }
  }
}

}  // namespace

int samples_held(int max_points) { return (1 << (last_level(max_points) - 1)) + 1; }

std::vector<PathIntegral> integrate_adaptive(const PathNetwork& network, const std::vector<AdaptiveGoal>& goals,
                                             const AdaptiveOptions& options) {
  std::vector<AdaptiveExample> examples;
  for (const AdaptiveGoal& goal : goals) examples.emplace_back(goal, options);
  const std::size_t together = options.together == 0 ? goals.size() : static_cast<std::size_t>(options.together);
  for (std::size_t first = 0; first < goals.size(); first += together) {
    integrate_together(network, examples, first, std::min(first + together, goals.size()));
  }
  std::vector<PathIntegral> integrals;
  for (AdaptiveExample& example : examples) integrals.push_back(example.take());
  return integrals;
}

}  // namespace tributary
