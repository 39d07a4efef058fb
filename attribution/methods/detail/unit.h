// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One unit under way: its recorded runs, and the tables that its pairs fill in. What activation paths and embedding
// paths share is in unit.cpp, the rest in files of their own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/methods/attribute.h"
#include "attribution/methods/detail/unit_runs.h"
#include "attribution/methods/integrate.h"

namespace tributary::detail {

class Unit {
 public:
  Unit(const Networks& networks, const Method& method, const Prompts& prompts, const UnitOptions& options);

  UnitScores compute();
  /// Index of the cheapest pilot candidate within tolerance, for every pair and layer ([pair, 1] on embedding paths).
  at::Tensor pilot_choices();

 private:
  [[nodiscard]] std::int64_t layers() const { return options_.layers.end - options_.layers.first; }
  [[nodiscard]] LayerEnds ends_of(const UnitRuns& runs, std::int64_t l) const;
  [[nodiscard]] at::ScalarType score_type() const { return networks_.working->score_type(); }
  void pause() const;

  /// a_x - baseline of one pair [layer, pos, neuron], in score dtype.
  [[nodiscard]] at::Tensor differences(std::int64_t pair) const;
  /// E_l of layer `l` of the unit [pair].
  [[nodiscard]] at::Tensor effect_of(std::int64_t l) const;
  /// The tolerance is relative to the effect, but not to one that float32 cannot resolve beside m(x) - m(x').
  [[nodiscard]] Target target(double difference, std::int64_t pair) const;
  [[nodiscard]] AdaptiveOptions adaptive_options() const;
  /// The fixed plan of a layer (0 on embedding paths): the method's own, or the pilot's choice.
  [[nodiscard]] SweepPlan plan_of(std::int64_t l) const;
  /// A pilot candidate as a sweep. Conductance sums over intervals: there it stands for its number of points.
  [[nodiscard]] SweepPlan candidate_plan(Quadrature rule, int points) const;
  /// The finer sweep that an audit compares with: at least twice the points.
  [[nodiscard]] SweepPlan audit_plan(int used) const;
  [[nodiscard]] bool audited(std::int64_t pair) const;
  [[nodiscard]] double choose(const PathNetwork& path, std::int64_t pair, const Target& goal,
                              const SumOf& sum_of) const;

  /// Adds one pair's scores [layer, pos, neuron] to the sum, from layer `first` of the unit on.
  void add(const at::Tensor& scores, std::int64_t first = 0);
  /// residual or linearisation gap, whichever this method's difference is called.
  void store_difference(std::int64_t pair, std::int64_t column, double difference, std::int64_t columns);
  /// Evaluations of layers l … l + count - 1.
  void store_spent(std::int64_t pair, std::int64_t l, std::int64_t count, const PathIntegral& integral);
  void store_audit(std::int64_t pair, std::int64_t l, const at::Tensor& scores, const at::Tensor& finer);

  void patch_exactly();

  // Activation paths, one layer at a time: activation_unit.cpp.
  void activation_paths();
  void activation_layer(std::int64_t l);
  [[nodiscard]] ActivationPath activation_path(std::int64_t l, const LayerEnds& ends) const;
  /// Scores delta × mean gradient of one pair in one layer [1, pos, neuron].
  [[nodiscard]] at::Tensor activation_scores(const LayerEnds& ends, std::int64_t pair,
                                             const PathIntegral& integral) const;
  [[nodiscard]] SumOf activation_sum(const LayerEnds& ends) const;

  // Embedding paths, and the one-point methods, which look at one of their ends: embedding_unit.cpp.
  void embedding_paths();
  void finish_sweep(const EmbeddingPath& path, std::int64_t pair, const PathIntegral& integral,
                    const std::vector<at::Tensor>& effects);
  [[nodiscard]] EmbeddingPath embedding_path() const;
  /// Input IG per token [pos] from a sweep's mean input gradient.
  [[nodiscard]] at::Tensor token_scores(std::int64_t pair, const PathIntegral& integral) const;
  /// What the method makes of a sweep: [layer, pos, neuron], or [1, pos, 1] for input IG.
  [[nodiscard]] at::Tensor sweep_scores(std::int64_t pair, const PathIntegral& integral) const;
  [[nodiscard]] SumOf embedding_sum() const;
  [[nodiscard]] Target embedding_target(std::int64_t pair) const;

  const Networks& networks_;
  const Method& method_;
  const UnitOptions& options_;
  std::int64_t pairs_, length_;
  UnitRuns exact_, working_;
  UnitScores out_;
};

/// Sum of all elements, float64.
double total(const at::Tensor& scores);
/// One element of a vector, as float64.
double value_at(const at::Tensor& vector, std::int64_t index);
/// 0 … n-1
std::vector<std::int64_t> counting(std::int64_t n);

}  // namespace tributary::detail
