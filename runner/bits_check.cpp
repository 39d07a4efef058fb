// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/bits_check.h"

#include <ATen/ATen.h>

namespace tributary {

bool bits_hold(const Job& job) {
  const Prompts prompts = prompts_of(job, job.pairs.train, {0});
  const Batching alone{1};
  const Batching together{256};
  const MetricTokens tokens = metric_tokens(*job.working, prompts, alone);
  const at::Tensor end = job.working->embed(prompts.clean);
  const at::Tensor start = prompts.counterfactual.defined() ? job.working->embed(prompts.counterfactual) : end;

  PathSample first;
  const auto keep_first = [&first](std::size_t index, const PathSample& sample) {
    if (index == 0) first = sample;
  };
  EmbeddingPath(*job.working, start, end, tokens, job.config.method.rules, alone).evaluate({{0, 1.0}}, keep_first);
  const PathSample expected = first;
  // Seven points: no multiple of 32 rows, so the padding has its part to play.
  std::vector<PathPoint> points;
  for (int k = 0; k < 7; ++k) points.push_back({0, 1.0 - k / 7.0});
  EmbeddingPath(*job.working, start, end, tokens, job.config.method.rules, together).evaluate(points, keep_first);
  return at::equal(first.value, expected.value) && at::equal(first.gradient, expected.gradient) &&
         at::equal(first.input_gradient, expected.input_gradient);
}

}  // namespace tributary
