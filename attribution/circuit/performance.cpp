// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/performance.h"

#include <c10/core/InferenceMode.h>
#include "attribution/model/largest.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace tributary {
namespace {

/// A row of logits is as long as the vocabulary, so few of them go into one call.
constexpr std::int64_t most_prompts = 64;

}  // namespace

PerformanceUnit measure_performance(const Transformer& model, const Prompts& prompts, const Batching& batching) {
  const c10::InferenceMode inference;
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t most = std::min(batching.sequences(prompts.clean.size(1)), most_prompts);
  const LogitDirections directions = model.logit_directions(metric_tokens(model, prompts, batching));
  Flops flops;
  PerformanceUnit unit;
  unit.metric = at::full({pairs, 2}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  unit.likeliest = at::full({pairs, 2}, -1, at::kLong);
  std::int64_t column = 0;
  for (const at::Tensor* ids : {&prompts.clean, &prompts.counterfactual}) {
    for (std::int64_t first = 0; ids->defined() && first < pairs; first += most) {
      const std::int64_t count = std::min(most, pairs - first);
      batching.pause();
      ForwardOptions options;
      options.flops = &flops;
      const Pass pass = model.forward(whole_batch(model.embed(ids->narrow(0, first, count))), options);
      const at::Tensor logits = model.logits(pass.resid).select(1, 0).to(model.score_type());
      unit.metric.select(1, column)
          .narrow(0, first, count)
          .copy_(model.metric(pass.resid, directions.narrow(first, count)));
      unit.likeliest.select(1, column).narrow(0, first, count).copy_(largest(logits, 1).columns.select(1, 0));
    }
    ++column;
  }
  unit.flops = flops.count;
  return unit;
}

}  // namespace tributary
