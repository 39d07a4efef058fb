// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/micro_batch.h"

#include "attribution/model/tensors.h"

#include <cmath>
#include <limits>
#include <utility>

#include "common/errors.h"

namespace tributary::detail {
namespace {

std::shared_ptr<const BaseRuns> base_runs_of(const Transformer& model, const Prompts& prompts,
                                             const UnitOptions& options, Flops* flops) {
  std::vector<at::Tensor> embeddings{model.embed(prompts.clean)};
  if (prompts.counterfactual.defined()) embeddings.push_back(model.embed(prompts.counterfactual));
  LogitDirections directions = model.logit_directions(metric_tokens(model, prompts, options.batching));
  return std::make_shared<const BaseRuns>(model, embeddings, prompts.shared, std::move(directions), flops);
}

}  // namespace

MicroBatch::MicroBatch(const Networks& networks, const Prompts& prompts, const UnitOptions& options, Flops* flops)
    : networks_(networks), prompts_(prompts), options_(options), flops_(flops) {
  if (!prompts_.tokens.tokens.defined()) prompts_.tokens = metric_tokens(*networks.exact, prompts, options.batching);
  exact_ = base_runs_of(*networks_.exact, prompts_, options, flops);
  working_ = networks_.working == networks_.exact ? exact_ : base_runs_of(*networks_.working, prompts_, options, flops);
  const at::Tensor clean = exact_->metric(clean_group).to(at::kDouble);
  const at::Tensor other = paired() ? exact_->metric(counterfactual_group).to(at::kDouble)
                                    : at::full_like(clean, std::numeric_limits<double>::quiet_NaN());
  metric_ = at::stack({clean, other}, 1).cpu();
}

void MicroBatch::pause() const { options_.batching.pause(); }

double MicroBatch::floor_of(std::int64_t pair) const {
  const double* m = metric_.const_data_ptr<double>() + 2 * pair;
  return 0.01 * std::abs(paired() ? m[0] - m[1] : m[0]);
}

const BaseGradients& MicroBatch::gradients(std::int64_t group, Rules rules) const {
  for (const auto& known : gradients_) {
    if (known->group == group && known->rules == rules) return known->gradients;
  }
  gradients_.push_back(
      std::make_unique<KnownGradients>(KnownGradients{group, rules, working_->gradients(group, rules, flops_)}));
  return gradients_.back()->gradients;
}

at::Tensor MicroBatch::difference(const BaseRuns& runs, const Method& method, const MeanState& mean,
                                  std::int64_t layer) const {
  const at::ScalarType type = runs.model().score_type();
  at::Tensor clean = runs.neurons(clean_group, layer).to(type);
  switch (method.baseline) {
    case Baseline::pair:
      return clean - runs.neurons(counterfactual_group, layer).to(type);
    case Baseline::zero:
      return clean;
    case Baseline::mean:
      return clean - mean.activations[layer].narrow(0, length() - clean.size(1), clean.size(1)).to(type);
  }
  throw ContractViolation("a baseline outside the enumeration");
}

ActivationPath MicroBatch::activation_path(const BaseRuns& runs, const Method& method, const TaskOptions& options,
                                           Rules rules) const {
  std::vector<at::Tensor> differences;
  for (std::int64_t layer = options.layers.first; layer < options.layers.end; ++layer) {
    differences.push_back(difference(runs, method, options.mean, layer));
  }
  return {runs, base_group(method), base_alpha(method), options.layers, differences, rules, batching(), flops_};
}

at::Tensor MicroBatch::effects(const Method& method, const TaskOptions& options) const {
  for (const KnownEffects& known : effects_) {
    const bool same_layers = known.layers.first == options.layers.first && known.layers.end == options.layers.end;
    const bool same_ends = known.baseline == method.baseline && method.baseline != Baseline::mean;  // means may differ
    if (same_layers && same_ends && known.direction == method.direction) return known.effects;
  }
  const ActivationPath path = activation_path(*exact_, method, options, {});
  std::vector<PathPoint> far;
  for (std::int64_t example = 0; example < path.examples(); ++example) far.push_back({example, 1 - base_alpha(method)});
  const std::vector<double> moved = path.metrics(far);
  at::Tensor effects = at::empty({options.layers.count(), pairs()}, at::kDouble);
  const auto side = base_group(method);
  for (std::int64_t example = 0; example < path.examples(); ++example) {
    const double kept = metric_.const_data_ptr<double>()[2 * (example % pairs()) + side];
    const double change = kept - moved[static_cast<std::size_t>(example)];
    effects.mutable_data_ptr<double>()[example] = method.direction == Direction::clean ? change : -change;
  }
  effects_.push_back({method.baseline, method.direction, options.layers, effects});
  return effects;
}

}  // namespace tributary::detail
