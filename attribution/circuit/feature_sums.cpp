// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/feature_sums.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <utility>

#include "attribution/methods/detail/sparse_tree.h"
#include "attribution/model/tensors.h"

namespace tributary {
namespace {

/// Features of one sequence by key.
SparseScores keyed(const FeatureValues& values, const std::vector<Dictionary>& dictionaries, std::int64_t sequence) {
  const std::vector<std::int64_t> firsts = first_keys(dictionaries, values.positions);
  SparseScores found;
  for (std::size_t d = 0; d < dictionaries.size(); ++d) {
    for (std::int64_t position = 0; position < values.positions; ++position) {
      const FeatureView row = view_of(values.features[d], sequence * values.positions + position);
      const std::int64_t first = firsts[d] + position * dictionaries[d].features();
      for (std::size_t e = 0; e < row.feature.size(); ++e) {
        found.keys.push_back(first + row.feature[e]);
        found.values.push_back(row.value[e]);
      }
    }
  }
  return found;
}

}  // namespace

FeatureSums sum_features(const Transformer& model, const std::vector<Dictionary>& dictionaries, const at::Tensor& ids,
                         const Batching& batching) {
  const c10::InferenceMode inference;
  FeatureSums found;
  detail::SparseTree tree;
  const std::int64_t piece = batching.sequences(ids.size(1));
  for (std::int64_t first = 0; first < ids.size(0); first += piece) {
    batching.pause();
    const std::int64_t count = std::min(piece, ids.size(0) - first);
    const FeatureValues values = feature_values(model, dictionaries, model.embed(ids.narrow(0, first, count)), nullptr);
    std::vector<SparseScores> features;
    for (std::int64_t sequence = 0; sequence < count; ++sequence) {
      features.push_back(keyed(values, dictionaries, sequence));
      for (const auto& [place, all] : values.written) {  // one pair after the other: the order of additions is ours
        at::Tensor& sum = found.written[place];
        const at::Tensor one = all[sequence].to(at::kDouble);
        sum = sum.defined() ? sum + one : one;
      }
    }
    tree.add(std::move(features));
  }
  found.features = tree.take_sum();
  return found;
}

}  // namespace tributary
