// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/bits_check.h"

#include <ATen/ATen.h>

namespace tributary {

namespace {

/// Scores of the first pair by the cheapest method, in a unit of `copies` copies of it.
at::Tensor first_scores(const Job& job, std::int64_t copies) {
  Prompts prompts = prompts_of(job, job.pairs.train, std::vector<std::int64_t>(static_cast<std::size_t>(copies), 0));
  const Transformer& model = *job.working;
  const at::Tensor e = model.embed(prompts.clean);
  const Record record(model, {e, e * 0.5}, 0, model.directions(metric_tokens(model, prompts, {})), nullptr);
  const RecordGradients gradients = record.gradients(0, {}, nullptr);
  std::vector<at::Tensor> seen;  // of the first pair
  for (std::size_t layer = 0; layer < gradients.neurons.size(); ++layer) {
    seen.push_back(gradients.neurons[layer][0].flatten());
    seen.push_back(record.neurons(0, static_cast<std::int64_t>(layer))[0].flatten());
  }
  return at::cat(seen);
}

}  // namespace

bool bits_hold(const Job& job) {
  // Seven pairs: no multiple of 32 rows, so the padding has its part to play.
  return at::equal(first_scores(job, 1), first_scores(job, 7));
}

}  // namespace tributary
