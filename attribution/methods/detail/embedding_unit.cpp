// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "attribution/methods/detail/unit.h"

namespace tributary::detail {

void Unit::embedding_paths() {
  const EmbeddingPath path = embedding_path();
  std::vector<at::Tensor> effects;  // a layer each [pair]: what one-point methods hold their sums against
  if (method_.path == PathKind::none && options_.gap == UnitOptions::Gap::measure) {
    for (std::int64_t l = 0; l < layers(); ++l) {
      effects.push_back(effect_of(l));
      pause();
    }
  }
  std::vector<PathIntegral> integrals;
  if (method_.quadrature == Quadrature::adaptive) {
    std::vector<Target> targets;
    for (std::int64_t pair = 0; pair < pairs_; ++pair) targets.push_back(embedding_target(pair));
    integrals = integrate_adaptive(path, targets, embedding_sum(), adaptive_options());
  } else {
    integrals = integrate(path, counting(pairs_), plan_of(0));
  }
  for (std::int64_t pair = 0; pair < pairs_; ++pair) {
    finish_sweep(path, pair, integrals[static_cast<std::size_t>(pair)], effects);
    pause();
  }
}

void Unit::finish_sweep(const EmbeddingPath& path, std::int64_t pair, const PathIntegral& integral,
                        const std::vector<at::Tensor>& effects) {
  const at::Tensor scores = sweep_scores(pair, integral);
  add(scores);
  store_spent(pair, 0, layers(), integral);
  for (std::int64_t l = 0; l < static_cast<std::int64_t>(effects.size()); ++l) {
    store_difference(pair, l, total(scores[l]) - value_at(effects[static_cast<std::size_t>(l)], pair), layers());
  }
  if (method_.path != PathKind::embeddings) return;

  const at::Tensor tokens = token_scores(pair, integral);
  if (!out_.inputs.defined()) out_.inputs = at::zeros({pairs_, length_}, at::kDouble);
  out_.inputs[pair] = tokens.to(at::kDouble).cpu();
  store_difference(pair, 0, total(tokens) - embedding_target(pair).difference, 1);
  if (audited(pair)) {
    const PathIntegral twice = integrate(path, {pair}, audit_plan(integral.evaluations)).front();
    const at::Tensor finer = sweep_scores(pair, twice);
    for (std::int64_t l = 0; l < layers(); ++l) {
      const std::int64_t row = method_.has_neurons() ? l : 0;
      store_audit(pair, l, scores[row], finer[row]);
    }
  }
}

EmbeddingPath Unit::embedding_path() const {
  const at::Tensor& end = working_.clean.embeddings;
  at::Tensor start = end;  // one-point methods do not move, unless they look at the other end
  if (method_.path == PathKind::embeddings) {
    start = method_.baseline == Baseline::zero ? at::zeros_like(end) : working_.start.embeddings;
  } else if (method_.direction == Direction::denoise) {
    start = working_.counterfactual.embeddings;
  }
  return {*networks_.working, start, end, working_.tokens, method_.rules, options_.batching};
}

at::Tensor Unit::token_scores(std::int64_t pair, const PathIntegral& integral) const {
  at::Tensor moved = working_.clean.embeddings[pair].to(score_type());  // [pos, d_model]
  if (method_.baseline != Baseline::zero) moved = moved - working_.start.embeddings[pair].to(score_type());
  return (moved * integral.input_gradient).sum(-1);
}

at::Tensor Unit::sweep_scores(std::int64_t pair, const PathIntegral& integral) const {
  if (method_.score == ScoreKind::input) return token_scores(pair, integral).view({1, -1, 1});
  const auto range = [this](const at::Tensor& all) { return all.narrow(0, options_.layers.first, layers()); };
  if (method_.score == ScoreKind::conductance) return range(integral.conductance);
  if (method_.path == PathKind::none) return differences(pair) * range(integral.gradient);
  const at::Tensor delta = working_.clean.activations.select(1, pair).to(score_type()) -
                           working_.start.activations.select(1, pair).to(score_type());  // end-point difference
  return range(delta) * range(integral.gradient);
}

SumOf Unit::embedding_sum() const {
  return [this](std::size_t pair, const PathIntegral& integral) {
    return total(token_scores(static_cast<std::int64_t>(pair), integral));
  };
}

Target Unit::embedding_target(std::int64_t pair) const {
  return target(value_at(exact_.clean.metric, pair) - value_at(exact_.start.metric, pair), pair);
}

}  // namespace tributary::detail
