// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/staged_points.h"

#include "attribution/model/detail/staging.h"

namespace tributary::detail {

StagedPoints stage(const std::vector<PathPoint>& points, const std::vector<std::size_t>& indices,
                   const at::TensorOptions& options) {
  std::vector<std::int64_t> examples;
  std::vector<double> alpha;
  for (const std::size_t i : indices) {
    examples.push_back(points[i].example);
    alpha.push_back(points[i].alpha);
  }
  return {staged(examples, options), staged(alpha, options).to(options.dtype()).view({-1, 1, 1})};
}

}  // namespace tributary::detail
