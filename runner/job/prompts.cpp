// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/prompts.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <map>
#include <utility>

namespace tributary {

std::vector<Bucket> buckets_of(const std::vector<TokenPair>& pairs) {
  std::map<std::int64_t, std::vector<std::int64_t>> by_length;
  for (std::size_t i = 0; i < pairs.size(); ++i) by_length[pairs[i].length()].push_back(static_cast<std::int64_t>(i));
  std::vector<Bucket> buckets;
  for (auto& [length, members] : by_length) buckets.push_back({length, std::move(members)});
  return buckets;
}

std::int64_t shared_positions(const std::vector<TokenPair>& pairs, const std::vector<std::int64_t>& members) {
  std::int64_t shared = pairs.at(static_cast<std::size_t>(members.front())).length() - 1;
  for (const std::int64_t member : members) {
    const TokenPair& pair = pairs[static_cast<std::size_t>(member)];
    const auto [first, other] = std::mismatch(pair.clean.begin(), pair.clean.end(), pair.counterfactual.begin());
    shared = std::min(shared, static_cast<std::int64_t>(first - pair.clean.begin()));
  }
  return shared;
}

std::int64_t live_positions(const Job& job, const Bucket& bucket) {
  return bucket.length - (job.config.unpaired ? 0 : shared_positions(job.pairs.train, bucket.members));
}

Prompts prompts_of(const Job& job, const std::vector<TokenPair>& pairs, const std::vector<std::int64_t>& members) {
  const auto count = static_cast<std::int64_t>(members.size());
  const std::int64_t length = pairs.at(static_cast<std::size_t>(members.front())).length();
  const bool paired = !job.config.unpaired;
  const std::int64_t answers = job.config.metric == MetricKind::logit_difference ? 2 : 1;
  at::Tensor clean = at::empty({count, length}, at::kLong);
  at::Tensor counterfactual = at::empty({count, length}, at::kLong);
  at::Tensor tokens = at::empty({count, answers}, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    const TokenPair& pair = pairs[static_cast<std::size_t>(members[static_cast<std::size_t>(i)])];
    std::copy(pair.clean.begin(), pair.clean.end(), clean[i].data_ptr<std::int64_t>());
    if (paired)
      std::copy(pair.counterfactual.begin(), pair.counterfactual.end(), counterfactual[i].data_ptr<std::int64_t>());
    tokens[i][0] = pair.clean_answer;
    if (answers == 2) tokens[i][1] = pair.patch_answer;
  }
  Prompts prompts;
  prompts.clean = clean.to(job.device);
  if (paired) prompts.counterfactual = counterfactual.to(job.device);
  prompts.top_k = job.config.metric_top;
  if (paired) prompts.shared = shared_positions(pairs, members);
  if (job.config.metric != MetricKind::sum_of_logits) {
    const at::Tensor signs = answers == 2 ? at::tensor({1.0, -1.0}, at::kDouble) : at::ones({1}, at::kDouble);
    prompts.tokens = {tokens.to(job.device), signs.to(job.device)};
  }
  return prompts;
}

}  // namespace tributary
