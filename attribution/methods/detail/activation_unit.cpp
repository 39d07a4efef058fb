// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "attribution/methods/detail/unit.h"

namespace tributary::detail {

void Unit::activation_paths() {
  for (std::int64_t l = 0; l < layers(); ++l) {
    activation_layer(l);
    pause();
  }
}

void Unit::activation_layer(std::int64_t l) {
  const LayerEnds ends = ends_of(working_, l);
  const ActivationPath path = activation_path(l, ends);
  const bool need_effect = method_.has_identity() || options_.gap == UnitOptions::Gap::measure;
  const at::Tensor effect = need_effect ? effect_of(l) : at::zeros({pairs_}, at::kDouble);
  std::vector<PathIntegral> integrals;
  if (method_.quadrature == Quadrature::adaptive) {
    std::vector<Target> targets;
    for (std::int64_t pair = 0; pair < pairs_; ++pair) {
      targets.push_back(target(method_.has_identity() ? value_at(effect, pair) : 0, pair));
    }
    integrals = integrate_adaptive(path, targets, activation_sum(ends), adaptive_options());
  } else {
    integrals = integrate(path, counting(pairs_), plan_of(l));
  }
  for (std::int64_t pair = 0; pair < pairs_; ++pair) {
    const PathIntegral& integral = integrals[static_cast<std::size_t>(pair)];
    const at::Tensor scores = activation_scores(ends, pair, integral);
    add(scores, l);
    if (need_effect) store_difference(pair, l, total(scores) - value_at(effect, pair), layers());
    store_spent(pair, l, 1, integral);
    if (audited(pair)) {
      const PathIntegral finer = integrate(path, {pair}, audit_plan(integral.evaluations)).front();
      store_audit(pair, l, scores, activation_scores(ends, pair, finer));
    }
  }
}

ActivationPath Unit::activation_path(std::int64_t l, const LayerEnds& ends) const {
  const std::int64_t layer = options_.layers.first + l;
  return {*networks_.working, layer,         ends.run.residuals[layer], ends.start, ends.end,
          working_.tokens,    method_.rules, options_.batching};
}

at::Tensor Unit::activation_scores(const LayerEnds& ends, std::int64_t pair, const PathIntegral& integral) const {
  return (ends.end[pair].to(score_type()) - ends.start[pair].to(score_type())) * integral.gradient;
}

SumOf Unit::activation_sum(const LayerEnds& ends) const {
  return [this, &ends](std::size_t pair, const PathIntegral& integral) {
    return total(activation_scores(ends, static_cast<std::int64_t>(pair), integral));
  };
}

}  // namespace tributary::detail
