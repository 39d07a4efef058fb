// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/largest.h"

#include <algorithm>

#include "attribution/model/tensors.h"

namespace tributary {

Largest largest(const at::Tensor& numbers, std::int64_t k) {
  // One more than wanted tells whether the last one has equals that are left out.
  const std::int64_t looked_at = std::min(k + 1, numbers.size(1));
  const auto [values, columns] = at::topk(numbers, looked_at);
  Largest found{values.narrow(1, 0, k), columns.narrow(1, 0, k).clone()};
  const at::Tensor equal = values.narrow(1, 0, looked_at - 1).eq(values.narrow(1, 1, looked_at - 1)).any(1).cpu();
  for (std::int64_t row = 0; row < numbers.size(0); ++row) {
    if (!equal.const_data_ptr<bool>()[row]) continue;
    const auto [sorted, order] = at::sort(numbers[row], /*stable=*/true, /*dim=*/0, /*descending=*/true);
    found.columns[row].copy_(order.narrow(0, 0, k));
  }
  return found;
}

}  // namespace tributary
