// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The passes that a unit's scores and errors start from: the clean prompts, the counterfactual ones, and the
// state where the path begins.
#pragma once

#include "attribution/methods/attribute.h"
#include "attribution/methods/integrate.h"

namespace tributary::detail {

/// Recorded on one network. `start` is where an embedding path begins: the counterfactual run, the mean embedding, or
/// (zero baseline) the smallest alpha that is evaluated.
struct UnitRuns {
  RecordedRun clean;
  RecordedRun counterfactual;  //!< undefined tensors when unpaired
  RecordedRun start;           //!< embedding paths only
  MetricTokens tokens;

  [[nodiscard]] bool paired() const { return counterfactual.metric.defined(); }
};

UnitRuns record_unit(const Transformer& model, const Method& method, const Prompts& prompts, const MetricTokens& tokens,
                     const UnitOptions& options);

/// Baseline activations of a layer [pair, pos, neuron]: the pair's own, zero, or the mean.
at::Tensor baseline_activations(const UnitRuns& runs, const Method& method, const MeanState& mean, std::int64_t layer);

/// The ends that layer's neurons are moved between.
LayerEnds layer_ends(const UnitRuns& runs, const Method& method, const MeanState& mean, std::int64_t layer);

/// The fixed sweep of a method with the given rule and number of points (of intervals, for standard conductance), with
/// alpha = 0 dropped where the zero baseline makes it meaningless.
SweepPlan sweep_of(const Method& method, Quadrature rule, int steps);

}  // namespace tributary::detail
