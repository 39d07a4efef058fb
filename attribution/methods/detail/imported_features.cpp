// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "attribution/methods/detail/feature_task.h"

namespace tributary::detail {

void add_imported_features(const MicroBatch& micro, TaskScores& task) {
  const bool kept = task.method().positions == Positions::keep;
  const std::vector<std::int64_t> firsts = first_keys(*task.options().dictionaries, kept ? micro.length() : 1);
  const auto& [width, keys, values] = *task.options().given_features;
  for (std::size_t d = 0; d + 1 < firsts.size(); ++d) {
    const auto first = std::lower_bound(keys.begin(), keys.end(), firsts[d]);
    const auto end = std::lower_bound(first, keys.end(), firsts[d + 1]);
    const auto first_value = values.begin() + (first - keys.begin());
    const SparseScores own{width, {first, end}, {first_value, first_value + (end - first)}};
    task.add_sparse(d, std::vector<SparseScores>(static_cast<std::size_t>(micro.pairs()), own));
  }
  task.add(task.options().given.unsqueeze(0).expand({micro.pairs(), -1, -1, -1}));
}

}  // namespace tributary::detail
