// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/unit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/errors.h"

namespace tributary::detail {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
constexpr int audit_points = 33;  // at least: twice Simpson's three would judge it by a worse rule

}  // namespace

double total(const at::Tensor& scores) { return scores.to(at::kDouble).sum().item<double>(); }

double value_at(const at::Tensor& vector, std::int64_t index) { return vector[index].to(at::kDouble).item<double>(); }

std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

Unit::Unit(const Networks& networks, const Method& method, const Prompts& prompts, const UnitOptions& options)
    : networks_(networks),
      method_(method),
      options_(options),
      pairs_(prompts.clean.size(0)),
      length_(prompts.clean.size(1)) {
  const MetricTokens tokens = metric_tokens(*networks.exact, prompts, options.batching);
  exact_ = record_unit(*networks.exact, method, prompts, tokens, options);
  working_ =
      networks.working == networks.exact ? exact_ : record_unit(*networks.working, method, prompts, tokens, options);
  const at::Tensor clean = exact_.clean.metric.to(at::kDouble);
  const at::Tensor other =
      exact_.paired() ? exact_.counterfactual.metric.to(at::kDouble) : at::full_like(clean, nothing);
  out_.metric = at::stack({clean, other}, 1).cpu();
}

UnitScores Unit::compute() {
  switch (method_.score) {
    case ScoreKind::exact:
      patch_exactly();
      break;
    case ScoreKind::magnitude:
      for (std::int64_t pair = 0; pair < pairs_; ++pair) add(differences(pair).abs());
      break;
    case ScoreKind::noise: {
      const Architecture& a = networks_.working->architecture();
      const std::int64_t positions = method_.positions == Positions::sum ? 1 : length_;
      const at::Tensor one =
          noise(a.layers, positions, a.neurons, options_.seed).narrow(0, options_.layers.first, layers());
      for (std::int64_t pair = 0; pair < pairs_; ++pair) add(one);
      break;
    }
    case ScoreKind::input:
    case ScoreKind::delta:
    case ScoreKind::conductance:
      if (method_.path == PathKind::activations) {
        activation_paths();
      } else {
        embedding_paths();
      }
  }
  if (!out_.evaluations.defined()) out_.evaluations = at::zeros({pairs_, layers()}, at::kDouble);
  return out_;
}

at::Tensor Unit::pilot_choices() {
  if (method_.path == PathKind::embeddings) {
    at::Tensor chosen = at::empty({pairs_, 1}, at::kDouble);
    const EmbeddingPath path = embedding_path();
    for (std::int64_t pair = 0; pair < pairs_; ++pair) {
      chosen[pair][0] = choose(path, pair, embedding_target(pair), embedding_sum());
    }
    return chosen;
  }
  at::Tensor chosen = at::empty({pairs_, layers()}, at::kDouble);
  for (std::int64_t l = 0; l < layers(); ++l) {
    const LayerEnds ends = ends_of(working_, l);
    const ActivationPath path = activation_path(l, ends);
    const at::Tensor effect = effect_of(l);
    for (std::int64_t pair = 0; pair < pairs_; ++pair) {
      chosen[pair][l] = choose(path, pair, target(value_at(effect, pair), pair), activation_sum(ends));
    }
  }
  return chosen;
}

LayerEnds Unit::ends_of(const UnitRuns& runs, std::int64_t l) const {
  return layer_ends(runs, method_, options_.mean, options_.layers.first + l);
}

void Unit::pause() const {
  if (options_.between_batches) options_.between_batches();
}

at::Tensor Unit::differences(std::int64_t pair) const {
  std::vector<at::Tensor> by_layer;
  for (std::int64_t l = 0; l < layers(); ++l) {
    const std::int64_t layer = options_.layers.first + l;
    by_layer.push_back(working_.clean.activations[layer][pair].to(score_type()) -
                       baseline_activations(working_, method_, options_.mean, layer)[pair].to(score_type()));
  }
  return at::stack(by_layer);
}

at::Tensor Unit::effect_of(std::int64_t l) const {
  return layer_effect(*networks_.exact, options_.layers.first + l, ends_of(exact_, l), method_.direction, exact_.tokens,
                      options_.batching);
}

Target Unit::target(double difference, std::int64_t pair) const {
  const double clean = value_at(exact_.clean.metric, pair);
  const double far = exact_.paired() ? clean - value_at(exact_.counterfactual.metric, pair) : clean;
  return {difference, std::max(std::abs(difference), 0.01 * std::abs(far))};
}

AdaptiveOptions Unit::adaptive_options() const {
  using Agreement = AdaptiveOptions::Agreement;
  using Residual = AdaptiveOptions::Residual;
  return {method_.tolerance, method_.max_points,
          method_.score == ScoreKind::conductance ? Agreement::conductance : Agreement::sum,
          method_.has_identity() ? Residual::required : Residual::ignored};
}

SweepPlan Unit::plan_of(std::int64_t l) const {
  if (method_.path == PathKind::none) {
    return {{{method_.direction == Direction::clean ? 1.0 : 0.0}, {1.0}}, IntervalGradient::mean};
  }
  if (method_.quadrature != Quadrature::pilot) return sweep_of(method_, *method_.quadrature, method_.steps);
  const auto place = static_cast<std::size_t>(method_.path == PathKind::embeddings ? 0 : options_.layers.first + l);
  return candidate_plan(options_.layer_rules.at(place), options_.layer_points.at(place));
}

SweepPlan Unit::candidate_plan(Quadrature rule, int points) const {
  return method_.score == ScoreKind::conductance ? sweep_of(method_, Quadrature::trapezoid, points - 1)
                                                 : sweep_of(method_, rule, points);
}

SweepPlan Unit::audit_plan(int used) const {
  // Rules of one size or of their own choosing are judged by the trapezoid, which converges fast on these integrands.
  const bool any_size = method_.steps != 0 && fixed_points(*method_.quadrature) == 0;
  if (any_size) return sweep_of(method_, *method_.quadrature, 2 * method_.steps);
  return candidate_plan(Quadrature::trapezoid, std::max(2 * used - 1, audit_points));
}

bool Unit::audited(std::int64_t pair) const {
  return !options_.audit.empty() && options_.audit.at(static_cast<std::size_t>(pair)) != 0;
}

double Unit::choose(const PathNetwork& path, std::int64_t pair, const Target& goal, const SumOf& sum_of) const {
  const auto& candidates = pilot_candidates();
  for (std::size_t i = 0; i + 1 < candidates.size(); ++i) {
    const PathIntegral one = integrate(path, {pair}, candidate_plan(candidates[i].rule, candidates[i].points)).front();
    pause();
    const double residual = sum_of(static_cast<std::size_t>(pair), one) - goal.difference;
    if (std::abs(residual) <= method_.tolerance * goal.scale) return static_cast<double>(i);
  }
  return static_cast<double>(candidates.size() - 1);
}

void Unit::add(const at::Tensor& scores, std::int64_t first) {
  at::Tensor s = scores.to(at::kDouble);
  if (method_.positions == Positions::sum && s.size(1) != 1) s = s.sum(1, true);  // [layer, 1, neuron]
  if (method_.aggregate == Aggregate::mean_abs) s = s.abs();
  if (!out_.scores.defined()) {
    out_.scores = at::zeros({method_.has_neurons() ? layers() : 1, s.size(1), s.size(2)}, s.options());
  }
  out_.scores.narrow(0, first, s.size(0)).add_(s);
  pause();
}

void Unit::store_difference(std::int64_t pair, std::int64_t column, double difference, std::int64_t columns) {
  at::Tensor& where = method_.has_identity() ? out_.residual : out_.gap;
  if (!where.defined()) where = at::full({pairs_, columns}, nothing, at::kDouble);
  where[pair][column] = difference;
}

void Unit::store_spent(std::int64_t pair, std::int64_t l, std::int64_t count, const PathIntegral& integral) {
  if (!out_.evaluations.defined()) {
    out_.evaluations = at::zeros({pairs_, layers()}, at::kDouble);
    if (method_.quadrature == Quadrature::adaptive) out_.converged = at::ones({pairs_, layers()}, at::kDouble);
  }
  out_.evaluations[pair].narrow(0, l, count).fill_(integral.evaluations);
  if (out_.converged.defined()) out_.converged[pair].narrow(0, l, count).fill_(integral.converged ? 1 : 0);
}

void Unit::store_audit(std::int64_t pair, std::int64_t l, const at::Tensor& scores, const at::Tensor& finer) {
  if (!out_.audit.defined()) out_.audit = at::full({pairs_, layers()}, nothing, at::kDouble);
  const at::Tensor reference = finer.to(at::kDouble);
  out_.audit[pair][l] = total((scores.to(at::kDouble) - reference).abs()) / total(reference.abs());
}

void Unit::patch_exactly() {
  const std::int64_t positions = method_.positions == Positions::sum ? 1 : length_;
  out_.scores = at::full({layers(), positions, networks_.exact->architecture().neurons}, nothing, at::kDouble);
  for (std::int64_t l = 0; l < layers(); ++l) {
    std::vector<Neuron> here;
    for (const Neuron& neuron : options_.sample) {
      if (neuron.layer == options_.layers.first + l) here.push_back(neuron);
    }
    if (here.empty()) continue;
    at::Tensor effects =  // [pair, neuron of the sample]
        exact_patching(*networks_.exact, here, ends_of(exact_, l), method_.direction, exact_.tokens, options_.batching);
    if (method_.aggregate == Aggregate::mean_abs) effects = effects.abs();
    const at::Tensor sums = effects.sum(0);
    for (std::size_t n = 0; n < here.size(); ++n) {
      out_.scores[l][std::max<std::int64_t>(here[n].position, 0)][here[n].index] = sums[static_cast<std::int64_t>(n)];
    }
    pause();
  }
}

}  // namespace tributary::detail
