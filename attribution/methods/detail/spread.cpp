// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/spread.h"

#include "attribution/methods/spread.h"
#include "attribution/model/tensors.h"

namespace tributary::detail {

at::Tensor spread_parts(const at::Tensor& scores) {
  at::Tensor parts = at::empty({3, scores.size(0), scores.size(1), scores.size(2)}, scores.options());
  parts[0].copy_(scores);
  at::Tensor squares = parts[1];
  at::mul_out(squares, scores, scores);
  parts[2].copy_(scores.lt(0)).mul_(negative_sign).add_(scores.gt(0));
  return parts;
}

}  // namespace tributary::detail
