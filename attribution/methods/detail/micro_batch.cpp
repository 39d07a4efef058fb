// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/micro_batch.h"

#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/errors.h"

namespace tributary::detail {
namespace {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

std::shared_ptr<const BaseRuns> base_runs_of(const Transformer& model, const Prompts& prompts, const Sites& sites,
                                             const UnitOptions& options, Flops* flops) {
  std::vector<at::Tensor> embeddings{model.embed(prompts.clean)};
  if (prompts.counterfactual.defined()) embeddings.push_back(model.embed(prompts.counterfactual));
  LogitDirections directions = model.logit_directions(metric_tokens(model, prompts, options.batching));
  return std::make_shared<const BaseRuns>(model, embeddings, prompts.shared, std::move(directions), sites, flops);
}

}  // namespace

MicroBatch::MicroBatch(const Networks& networks, const Prompts& prompts, const Sites& sites, const UnitOptions& options,
                       Flops* flops)
    : networks_(networks), prompts_(prompts), options_(options), flops_(flops) {
  if (!prompts_.tokens.tokens.defined()) prompts_.tokens = metric_tokens(*networks.exact, prompts, options.batching);
  exact_ = base_runs_of(*networks_.exact, prompts_, sites, options, flops);
  working_ =
      networks_.working == networks_.exact ? exact_ : base_runs_of(*networks_.working, prompts_, sites, options, flops);
  const at::Tensor clean = exact_->metric(clean_group).to(at::kDouble);
  const at::Tensor other = paired() ? exact_->metric(counterfactual_group).to(at::kDouble)
                                    : at::full_like(clean, std::numeric_limits<double>::quiet_NaN());
  metric_ = at::stack({clean, other}, 1).cpu();
}

void MicroBatch::pause() const { options_.batching.pause(); }

double MicroBatch::floor_of(std::int64_t pair, double tolerance) const {
  const double* m = metric_.const_data_ptr<double>() + 2 * pair;
  if (!rounding_.defined()) rounding_ = rounding_of_metric();
  const double rounding = rounding_.const_data_ptr<double>()[pair];
  return std::max(0.01 * std::abs(paired() ? m[0] - m[1] : m[0]), rounding / tolerance);
}

AdaptiveGoal MicroBatch::goal_of(std::int64_t pair, const Method& method) const {
  AdaptiveGoal goal{floor_of(pair, method.tolerance), 0};
  if (method.baseline != Baseline::pair) return goal;
  const at::Tensor differs = prompts_.clean[pair].ne(prompts_.counterfactual[pair]).cpu();
  goal.positions = length();
  for (const bool* at = differs.const_data_ptr<bool>(); goal.positions > 1 && !*at; ++at) --goal.positions;
  return goal;
}

at::Tensor MicroBatch::rounding_of_metric() const {
  const Transformer& model = exact_->model();
  const double epsilon = model.score_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                           : std::numeric_limits<float>::epsilon();
  const at::Tensor resid = exact_->pass().resid.narrow(0, exact_->range(clean_group).first, pairs());
  at::Tensor size = metric_.abs().nansum(1);  // [pair]; NaN where there is no counterfactual
  const MetricTokens& all = prompts_.tokens;
  for (std::int64_t j = 0; j < all.tokens.size(1); ++j) {
    const MetricTokens one{all.tokens.narrow(1, j, 1), all.coefficients.narrow(0, j, 1)};
    size = size + model.metric(resid, model.logit_directions(one)).to(at::kDouble).abs().cpu();
  }
  return 32 * epsilon * size;
}

const BaseGradients& MicroBatch::gradients(std::int64_t group, Rules rules) const {
  for (const auto& known : gradients_) {
    if (known->group == group && known->rules == rules) return known->gradients;
  }
  gradients_.push_back(
      std::make_unique<KnownGradients>(KnownGradients{group, rules, working_->gradients(group, rules, flops_)}));
  return gradients_.back()->gradients;
}

at::Tensor MicroBatch::difference(const BaseRuns& runs, const Method& method, const TaskOptions& options,
                                  std::int64_t layer, const std::vector<std::int64_t>& some) const {
  const at::ScalarType type = runs.model().score_type();
  const Site site = options.nodes.site;
  const auto of_group = [&](std::int64_t group) {
    const at::Tensor all = runs.values(site, group, layer);
    return (some.empty() ? all : at::index_select(all, 0, staged(some, all.options()))).to(type);
  };
  at::Tensor clean = of_group(clean_group);
  switch (method.baseline) {
    case Baseline::pair:
      return clean - of_group(counterfactual_group);
    case Baseline::zero:
      return clean;
    case Baseline::mean:
      return clean - options.mean.at(site)[layer].narrow(0, length() - clean.size(1), clean.size(1)).to(type);
  }
  throw ContractViolation("a baseline outside the enumeration");
}

ActivationPath MicroBatch::activation_path(const BaseRuns& runs, const Method& method, const TaskOptions& options,
                                           Rules rules, const std::vector<std::int64_t>& some) const {
  std::vector<at::Tensor> differences;
  for (std::int64_t layer = options.layers.first; layer < options.layers.end; ++layer) {
    differences.push_back(difference(runs, method, options, layer, some));
  }
  Batching batching = this->batching();
  if (method.quadrature == Quadrature::adaptive) {
    batching.rows = rows_of_adaptive_call(batching.rows, options.layers.count() * pairs(), suffix());
  }
  return {runs,
          base_group(method),
          base_alpha(method),
          options.nodes.site,
          options.layers,
          differences,
          rules,
          std::move(batching),
          flops_,
          some};
}

/// What is known of a method's effects, which other methods with the same ends share.
MicroBatch::KnownEffects& MicroBatch::known_effects(const Method& method, const TaskOptions& options) const {
  for (KnownEffects& known : effects_) {
    const bool same_layers = known.layers.first == options.layers.first && known.layers.end == options.layers.end;
    const bool same_ends = known.baseline == method.baseline && method.baseline != Baseline::mean;  // means may differ
    const bool same_place = known.site == options.nodes.site && known.direction == method.direction;
    if (same_layers && same_ends && same_place) return known;
  }
  effects_.push_back({method.baseline, method.direction, options.nodes.site, options.layers,
                      std::vector<char>(static_cast<std::size_t>(pairs()), 0),
                      at::full({options.layers.count(), pairs()}, not_measured, at::kDouble)});
  return effects_.back();
}

at::Tensor MicroBatch::effects(const Method& method, const TaskOptions& options,
                               const std::vector<char>& wanted) const {
  KnownEffects& known = known_effects(method, options);
  std::vector<char> missing(wanted);
  for (std::size_t pair = 0; pair < missing.size(); ++pair) {
    if (known.known[pair] != 0) missing[pair] = 0;
  }
  if (any_marked(missing)) {
    std::vector<std::int64_t> some;
    for (std::int64_t pair = 0; pair < pairs(); ++pair) {
      if (missing[static_cast<std::size_t>(pair)] != 0) some.push_back(pair);
    }
    if (std::ssize(some) == pairs()) some.clear();  // as they lie
    const ActivationPath path = activation_path(*exact_, method, options, {}, some);
    std::vector<PathPoint> far;
    for (std::int64_t example = 0; example < path.examples(); ++example) {
      if (missing[static_cast<std::size_t>(example % pairs())] != 0) far.push_back({example, 1 - base_alpha(method)});
    }
    const std::vector<double> moved = path.metrics(far);
    for (std::size_t i = 0; i < far.size(); ++i) {
      const double kept = metric_.const_data_ptr<double>()[2 * (far[i].example % pairs()) + base_group(method)];
      const double change = kept - moved[i];
      known.effects.mutable_data_ptr<double>()[far[i].example] =
          method.direction == Direction::clean ? change : -change;
    }
    for (std::size_t pair = 0; pair < missing.size(); ++pair) {
      if (missing[pair] != 0) known.known[pair] = 1;
    }
  }
  at::Tensor found = known.effects.clone();
  for (std::int64_t pair = 0; pair < pairs(); ++pair) {
    if (wanted[static_cast<std::size_t>(pair)] == 0) found.select(1, pair).fill_(not_measured);
  }
  return found;
}

}  // namespace tributary::detail
