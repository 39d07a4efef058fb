// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/feature_means.h"

#include <utility>

#include "attribution/circuit/feature_sums.h"
#include "attribution/model/tensors.h"
#include "runner/job/prompts.h"
#include "runner/stages/numbers.h"

namespace tributary {
std::map<std::int64_t, std::shared_ptr<const FeatureValues>> run_feature_means(const Execution& execution,
                                                                               const Job& job, const std::string& name,
                                                                               const std::vector<TokenPair>& pairs) {
  const std::vector<Dictionary>& dictionaries = *job.dictionaries;
  const StagePlan plan = plan_lengths(job, pairs);
  StageResult result = run_plan(execution, name, plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, pairs, chunk.members);
    const at::Tensor& ids = prompts.counterfactual.defined() ? prompts.counterfactual : prompts.clean;
    FeatureSums sums = sum_features(*job.working, dictionaries, ids, execution.batching());
    UnitResult unit;
    for (const auto& [place, sum] : sums.written) append_numbers(unit.sum, sum);
    if (!sums.features.keys.empty()) unit.sparse = {1, std::move(sums.features.keys), std::move(sums.features.values)};
    return unit;
  });
  std::map<std::int64_t, std::shared_ptr<const FeatureValues>> means;
  std::size_t lane = 0;
  result.sums.resize(buckets_of(pairs).size());
  result.sparse.resize(result.sums.size());
  for (const Bucket& bucket : buckets_of(pairs)) {
    std::vector<double>& sum = result.sums[lane];
    SparseSum& features = result.sparse[lane++];
    const auto count = static_cast<double>(bucket.members.size());
    for (std::vector<double>* numbers : {&sum, &features.values}) {
      for (double& value : *numbers) value /= count;
      execution.comm.broadcast(*numbers);
    }
    execution.comm.broadcast(features.keys);
    std::map<SitePlace, at::Tensor> written;
    for (const auto& [place, d] : error_places(dictionaries)) written[place] = at::Tensor();
    auto next = sum.begin();
    for (auto& [place, mean] : written) {
      const std::int64_t width = place.first == Site::z ? job.architecture().query_width() : job.architecture().d_model;
      const auto end = next + static_cast<std::ptrdiff_t>(bucket.length * width);
      mean = tensor_of({next, end}, {1, bucket.length, width}, at::kDouble);
      next = end;
    }
    FeatureValues values =
        mean_features(dictionaries, bucket.length, features.keys, features.values, std::move(written));
    for (auto& [place, error] : values.errors) error = error.to(job.working->score_type());
    means[bucket.length] = std::make_shared<const FeatureValues>(std::move(values));
  }
  return means;
}

}  // namespace tributary
