// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Integrals along a path: mean gradients and conductances, by a fixed rule or adaptively.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "attribution/methods/path.h"
#include "attribution/methods/quadrature.h"

namespace tributary {

/// How conductance sums gradient × change of the neuron over an interval: the gradient at its baseline side, at its
/// clean side, or their mean.
enum class IntervalGradient { left, right, mean };

/// A fixed sweep: where to evaluate, the weights of the mean gradient, and how intervals are summed.
struct SweepPlan {
  Nodes nodes;
  IntervalGradient interval = IntervalGradient::mean;
  // Which integrals of what samples carry of neurons are wanted: each takes memory for every example.
  bool gradients = true;
  bool conductance = true;
};

/// n intervals with points j/n, j = 0 … n; weights of the matching rule (left, right, trapezoid).
SweepPlan interval_sweep(Quadrature rule, int n);
/// Captum's LayerConductance: the rule's own points for n + 1, left gradient × forward difference.
SweepPlan captum_sweep(Quadrature rule, int n);

/// The integrals of one example.
struct PathIntegral {
  at::Tensor gradient;        //!< Σ_k w_k of what samples call gradient (path.h): dm/dv, or dm/dresid_post; undefined
                              //!< where it is not wanted
  at::Tensor input_gradient;  //!< Σ_k w_k dm/de [pos, d_model], where the path moves the embeddings
  at::Tensor conductance;     //!< ∫ dm/dv dv [tap, pos, neuron]; undefined where samples have no values or it is not
                              //!< wanted
  double sum = 0;             //!< Σ_k w_k dm/dalpha: what the scores sum to
  double difference = 0;      //!< m(1) - m(0) where both ends were evaluated, else NaN
  int evaluations = 0;
  bool converged = true;  //!< adaptive: whether the tolerance was met within the points allowed
};

/// Integrates some examples by fixed sweeps that share their evaluations; results by plan, then in the order of
/// `examples`.
std::vector<std::vector<PathIntegral>> integrate(const PathNetwork& network, const std::vector<std::int64_t>& examples,
                                                 const std::vector<SweepPlan>& plans);
/// One fixed sweep.
std::vector<PathIntegral> integrate(const PathNetwork& network, const std::vector<std::int64_t>& examples,
                                    const SweepPlan& plan);

struct AdaptiveOptions {
  double tolerance = 0.01;
  int max_points = 65;
  enum class Agreement { sum, conductance } agreement = Agreement::sum;  //!< what two levels must agree in
  /// Whether the residual must be small as well: not where the scores are not meant to sum to the difference.
  enum class Residual { required, ignored } residual = Residual::required;
  /// Examples that are integrated side by side, 0: all of them. Agreement in conductance holds samples_held of each.
  std::int64_t together = 0;
};

/// Samples that an adaptive integration of conductance holds of an example at most: those of all levels but the last.
int samples_held(int max_points);

/// What one example of an adaptive integration is held to.
struct AdaptiveGoal {
  double floor = 0;            //!< what residuals are relative to at least (docs/methods.md)
  std::int64_t positions = 0;  //!< the last positions, whose gradients must agree; 0: all
};

/// Nested equispaced points with both ends: 0, 1; then 1/2; then 1/4, 3/4; … Each level re-uses all earlier ones;
/// estimates are trapezoid, Simpson, Boole, then trapezoid. The residual of an example is its sum - (m(1) - m(0)), the
/// tolerance is relative to scale = max(|m(1) - m(0)|, floor). It stops at the first level >= 1
/// - whose |residual| <= tolerance × scale, and in each half of the path by itself ten times that: m is known at the
///   middle as well, and errors that cancel over the whole path do not in its halves (two levels' sums may agree on a
///   wrong value, and the first level is so coarse that it seldom agrees with a right one); or
/// - (residual ignored) whose sum agrees to tolerance × max(|sum|, scale); or
/// - (agreement in conductance) whose conductance agrees to tolerance in relative L1; mean gradients are then not
/// summed. But for conductance its mean gradient must also be near the level's before, ‖change‖₁ <= 20 tolerance
/// ‖mean‖₁: the sum knows nothing of errors that cancel between neurons. Twenty, since a level is much nearer to the
/// truth than to the level before: the error that is left is then of the order of the tolerance. Levels are evaluated
/// two at a time where one cannot be the last: the first two, and those far from the goal. goals: by example.
std::vector<PathIntegral> integrate_adaptive(const PathNetwork& network, const std::vector<AdaptiveGoal>& goals,
                                             const AdaptiveOptions& options);

}  // namespace tributary
