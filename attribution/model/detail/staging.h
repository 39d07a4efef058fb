// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Points of a path as tensors on the device, one copy a network call whatever its size; and sums over positions.
#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <vector>

#include "attribution/methods/path.h"

namespace tributary::detail {

struct StagedPoints {
  at::Tensor examples;  //!< [point] int64
  at::Tensor alpha;     //!< [point, 1, 1], score dtype
};

/// Some points by their indices in the list. On a card through pinned memory, so that the copy does not wait.
StagedPoints stage(const std::vector<PathPoint>& points, const std::vector<std::size_t>& indices,
                   const at::TensorOptions& options);

/// Numbers of the host as a tensor on the device.
template <typename T>
at::Tensor staged(const std::vector<T>& numbers, const at::TensorOptions& options);

/// Sums [...] in float64 of t [..., pos, width], position after position: leading positions of zeros then change no
/// bit, whether they are there or not.
at::Tensor sum_by_position(const at::Tensor& t);

}  // namespace tributary::detail
