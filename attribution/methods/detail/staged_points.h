// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Points of a path as tensors on the device, one copy a network call whatever its size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "attribution/methods/path.h"

namespace tributary::detail {

struct StagedPoints {
  at::Tensor examples;  //!< [point] int64
  at::Tensor alpha;     //!< [point, 1, 1], score dtype
};

/// Some points by their indices in the list.
StagedPoints stage(const std::vector<PathPoint>& points, const std::vector<std::size_t>& indices,
                   const at::TensorOptions& options);

}  // namespace tributary::detail
