// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/prompts.h"

#include <algorithm>
#include <vector>

#include "attribution/model/largest.h"
#include "attribution/model/tensors.h"

namespace tributary {

Prompts Prompts::narrow(std::int64_t first, std::int64_t count) const {
  Prompts some = *this;
  some.clean = clean.narrow(0, first, count);
  if (counterfactual.defined()) some.counterfactual = counterfactual.narrow(0, first, count);
  if (tokens.tokens.defined()) some.tokens = tokens.narrow(first, count);
  return some;
}

MetricTokens metric_tokens(const Transformer& model, const Prompts& prompts, const Batching& batching) {
  if (prompts.tokens.tokens.defined()) {
    return {prompts.tokens.tokens, prompts.tokens.coefficients.to(model.score_type())};
  }
  std::vector<at::Tensor> best;  // a network call each [sequence, k]
  const std::int64_t most = batching.sequences(prompts.clean.size(1));
  for (std::int64_t first = 0; first < prompts.clean.size(0); first += most) {
    const std::int64_t count = std::min(most, prompts.clean.size(0) - first);
    const Pass pass = model.forward(whole_batch(model.embed(prompts.clean.narrow(0, first, count))), {});
    const at::Tensor logits = model.logits(pass.resid).select(1, 0).to(model.score_type());
    best.push_back(largest(logits, prompts.top_k).columns);
  }
  return {at::cat(best), at::ones({prompts.top_k}, model.score_options())};
}

}  // namespace tributary
