// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cstdint>

namespace tributary::detail {

template <typename T>
at::Tensor staged(const std::vector<T>& numbers, const at::TensorOptions& options) {
  const bool card = options.device().is_cuda();
  at::Tensor host = at::empty({static_cast<std::int64_t>(numbers.size())},
                              at::TensorOptions(c10::CppTypeToScalarType<T>::value).pinned_memory(card));
  std::copy(numbers.begin(), numbers.end(), host.mutable_data_ptr<T>());
  return host.to(options.device(), /*non_blocking=*/card);
}

template at::Tensor staged(const std::vector<std::int64_t>&, const at::TensorOptions&);
template at::Tensor staged(const std::vector<std::int32_t>&, const at::TensorOptions&);
template at::Tensor staged(const std::vector<double>&, const at::TensorOptions&);

at::Tensor sum_by_position(const at::Tensor& t) {
  const at::Tensor rows = t.sum(-1, false, at::kDouble);  // [..., pos]
  at::Tensor sum = rows.select(-1, 0).clone();
  for (std::int64_t position = 1; position < rows.size(-1); ++position) sum.add_(rows.select(-1, position));
  return sum;
}

at::Tensor sum_over_positions(const at::Tensor& t) {
  at::Tensor sum = at::zeros_like(t.narrow(-2, 0, 1));
  for (const at::Tensor& position : t.split(1, -2)) sum.add_(position);
  return sum;
}

}  // namespace tributary::detail
