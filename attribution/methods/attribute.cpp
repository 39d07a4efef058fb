// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/attribute.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "attribution/methods/detail/unit.h"

namespace tributary {

const std::vector<PilotCandidate>& pilot_candidates() {
  static const std::vector<PilotCandidate> candidates = {
      {Quadrature::radau, 2},      {Quadrature::simpson, 3},    {Quadrature::boole, 5},      {Quadrature::trapezoid, 9},
      {Quadrature::trapezoid, 17}, {Quadrature::trapezoid, 33}, {Quadrature::trapezoid, 65},
  };
  return candidates;
}

UnitScores attribute(const Networks& networks, const Method& method, const Prompts& prompts,
                     const UnitOptions& options) {
  return detail::Unit(networks, method, prompts, options).compute();
}

at::Tensor pilot(const Networks& networks, const Method& method, const Prompts& prompts, const UnitOptions& options) {
  return detail::Unit(networks, method, prompts, options).pilot_choices();
}

MetricTokens metric_tokens(const Transformer& model, const Prompts& prompts, const Batching& batching) {
  if (prompts.tokens.tokens.defined()) {
    return {prompts.tokens.tokens, prompts.tokens.coefficients.to(model.score_type())};
  }
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> best;  // a piece each [piece, k]
  const std::int64_t length = prompts.clean.size(1);
  const std::int64_t piece = batching.sequences(length);
  for (std::int64_t first = 0; first < prompts.clean.size(0); first += piece) {
    const std::int64_t count = std::min(piece, prompts.clean.size(0) - first);
    const at::Tensor stream = model.run(model.embed(prompts.clean.narrow(0, first, count)), {});
    const at::Tensor logits = model.last_logits(stream, {count, length}).to(model.score_type());
    best.push_back(std::get<1>(at::topk(logits, prompts.top_k)));
  }
  return {at::cat(best), at::ones({prompts.top_k}, model.options().dtype(model.score_type()))};
}

Fired count_fired(const Transformer& model, const Prompts& prompts, Rules rules) {
  Fired fired;
  Prompts first{prompts.clean.narrow(0, 0, 1), {}, prompts.tokens, prompts.top_k};
  if (first.tokens.tokens.defined()) first.tokens = first.tokens.narrow(0, 1);
  const at::Tensor e = model.embed(first.clean);
  const EmbeddingPath path(model, e, e, metric_tokens(model, first, {}), rules, {});
  path.evaluate(
      {{0, 1.0}}, [](std::size_t, const PathSample&) {}, &fired);
  return fired;
}

}  // namespace tributary
