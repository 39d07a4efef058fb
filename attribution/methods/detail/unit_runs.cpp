// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/unit_runs.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "common/errors.h"

namespace tributary::detail {
namespace {

/// Where an embedding path starts, as embeddings [pair, pos, d_model].
at::Tensor path_start(const UnitRuns& runs, const Method& method, const MeanState& mean) {
  switch (method.baseline) {
    case Baseline::pair:
      return runs.counterfactual.embeddings;
    case Baseline::mean:
      return mean.embeddings.expand_as(runs.clean.embeddings).to(runs.clean.embeddings.scalar_type());
    case Baseline::zero:
      return runs.clean.embeddings * sweep_of(method, *method.quadrature, method.steps).nodes.alpha.front();
  }
  throw ContractViolation("a baseline outside the enumeration");
}

}  // namespace

UnitRuns record_unit(const Transformer& model, const Method& method, const Prompts& prompts, const MetricTokens& tokens,
                     const UnitOptions& options) {
  UnitRuns runs;
  runs.tokens = tokens;
  runs.clean = record_run(model, model.embed(prompts.clean), runs.tokens, options.batching);
  if (prompts.counterfactual.defined()) {
    runs.counterfactual = record_run(model, model.embed(prompts.counterfactual), runs.tokens, options.batching);
  }
  if (method.path == PathKind::embeddings) {
    runs.start = method.baseline == Baseline::pair
                     ? runs.counterfactual
                     : record_run(model, path_start(runs, method, options.mean), runs.tokens, options.batching);
  }
  return runs;
}

at::Tensor baseline_activations(const UnitRuns& runs, const Method& method, const MeanState& mean, std::int64_t layer) {
  const at::Tensor clean = runs.clean.activations[layer];
  switch (method.baseline) {
    case Baseline::pair:
      return runs.counterfactual.activations[layer];
    case Baseline::zero:
      return at::zeros_like(clean);
    case Baseline::mean:
      return mean.activations[layer].to(clean.scalar_type()).expand_as(clean);
  }
  throw ContractViolation("a baseline outside the enumeration");
}

LayerEnds layer_ends(const UnitRuns& runs, const Method& method, const MeanState& mean, std::int64_t layer) {
  return {method.direction == Direction::clean ? runs.clean : runs.counterfactual,
          baseline_activations(runs, method, mean, layer), runs.clean.activations[layer]};
}

SweepPlan sweep_of(const Method& method, Quadrature rule, int steps) {
  if (method.score != ScoreKind::conductance) return {nodes_of(rule, steps), IntervalGradient::mean};
  if (method.form == ConductanceForm::captum) return captum_sweep(rule, steps);
  SweepPlan plan = interval_sweep(rule, steps);
  if (method.baseline == Baseline::zero) {
    plan.nodes.alpha.erase(plan.nodes.alpha.begin());
    plan.nodes.weight.erase(plan.nodes.weight.begin());
  }
  return plan;
}

}  // namespace tributary::detail
