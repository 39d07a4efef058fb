// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Some pairs of a unit, as many as fit one network call, with what its tasks share: the base runs, the gradients at
// their ends, and the layers' true effects. Computed when first asked for.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "attribution/methods/activation_path.h"
#include "attribution/methods/attribute.h"
#include "attribution/methods/base_runs.h"
#include "attribution/methods/integrate.h"

namespace tributary::detail {

inline constexpr std::int64_t clean_group = 0;
inline constexpr std::int64_t counterfactual_group = 1;

/// Whether any pair of a list [pair] is marked.
inline bool any_marked(const std::vector<char>& pairs) {
  return std::find(pairs.begin(), pairs.end(), 1) != pairs.end();
}

class MicroBatch {
 public:
  /// sites: where tasks read values.
  MicroBatch(const Networks& networks, const Prompts& prompts, const Sites& sites, const UnitOptions& options,
             Flops* flops);

  [[nodiscard]] std::int64_t pairs() const { return prompts_.clean.size(0); }
  [[nodiscard]] std::int64_t length() const { return prompts_.clean.size(1); }
  [[nodiscard]] std::int64_t suffix() const { return exact_->suffix(); }
  [[nodiscard]] bool paired() const { return prompts_.counterfactual.defined(); }
  [[nodiscard]] bool one_network() const { return working_ == exact_; }
  [[nodiscard]] const Batching& batching() const { return options_.batching; }
  [[nodiscard]] Flops* flops() const { return flops_; }
  void pause() const;

  /// Groups clean_group and, when paired, counterfactual_group.
  [[nodiscard]] const BaseRuns& exact() const { return *exact_; }
  [[nodiscard]] const BaseRuns& working() const { return *working_; }
  /// m on clean and counterfactual [pair, 2] float64, NaN when unpaired.
  [[nodiscard]] const at::Tensor& metric() const { return metric_; }
  /// What a residual of a pair is relative to at least: 0.01 |m(x) - m(x')|, or what makes `tolerance` of it the
  /// rounding of m, 32 ε (|m(x)| + |m(x')| + Σ_j |coefficient_j logit_j(x)|), which no more points take away.
  [[nodiscard]] double floor_of(std::int64_t pair, double tolerance) const;
  /// The same for adaptive quadrature, whose gradients must agree from the prompts' first difference on: before it the
  /// scores are 0, and how many positions there are depends on the other pairs.
  [[nodiscard]] AdaptiveGoal goal_of(std::int64_t pair, const Method& method) const;

  /// Gradients of the working network, all layers at once.
  [[nodiscard]] const BaseGradients& gradients(std::int64_t group, Rules rules) const;

  /// v of clean - baseline in one layer of a task's nodes [pair, pos, width], score dtype; pos: the suffix, or in the
  /// last layer (but for embeddings) the kept positions. some: of these pairs alone; empty: of all.
  [[nodiscard]] at::Tensor difference(const BaseRuns& runs, const Method& method, const TaskOptions& options,
                                      std::int64_t layer, const std::vector<std::int64_t>& some = {}) const;
  /// The path of a task's nodes from base runs of either network; some: as ActivationPath has it.
  [[nodiscard]] ActivationPath activation_path(const BaseRuns& runs, const Method& method, const TaskOptions& options,
                                               Rules rules, const std::vector<std::int64_t>& some = {}) const;
  /// E_l [layer, pair] of a range of layers, float64: m(x) - m(x; do v^l = baseline), or m(x'; do v^l = v_x) - m(x')
  /// when denoising; from the exact network. NaN for pairs that are not wanted [pair].
  [[nodiscard]] at::Tensor effects(const Method& method, const TaskOptions& options,
                                   const std::vector<char>& wanted) const;
  /// The same of all pairs.
  [[nodiscard]] at::Tensor effects(const Method& method, const TaskOptions& options) const {
    return effects(method, options, std::vector<char>(static_cast<std::size_t>(pairs()), 1));
  }

 private:
  struct KnownGradients {
    std::int64_t group;
    Rules rules;
    BaseGradients gradients;
  };
  struct KnownEffects {
    Baseline baseline;
    Direction direction;
    Site site;
    LayerRange layers;
    std::vector<char> known;  // [pair]
    at::Tensor effects;
  };

  [[nodiscard]] KnownEffects& known_effects(const Method& method, const TaskOptions& options) const;
  [[nodiscard]] at::Tensor rounding_of_metric() const;

  const Networks& networks_;
  Prompts prompts_;
  const UnitOptions& options_;
  Flops* flops_;
  std::shared_ptr<const BaseRuns> exact_, working_;
  at::Tensor metric_;
  mutable at::Tensor rounding_;  // [pair] of m; undefined until asked for
  mutable std::vector<std::unique_ptr<KnownGradients>> gradients_;
  mutable std::vector<KnownEffects> effects_;
};

/// The group that stays as it is, and where on an activation path it lies.
inline std::int64_t base_group(const Method& method) {
  return method.direction == Direction::clean ? clean_group : counterfactual_group;
}
inline double base_alpha(const Method& method) { return method.direction == Direction::clean ? 1 : 0; }

}  // namespace tributary::detail
