// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Numbers of the host as tensors on the device, and sums whose bits do not depend on how many zeros come first.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tributary::detail {

/// Numbers of the host as a tensor on the device. On a card through pinned memory, so that the copy does not wait.
template <typename T>
at::Tensor staged(const std::vector<T>& numbers, const at::TensorOptions& options);

/// Sums [...] in float64 of t [..., pos, width], position after position: leading positions of zeros then change no
/// bit, whether they are there or not.
at::Tensor sum_by_position(const at::Tensor& t);

/// Sums [..., 1, width] over the positions of t [..., pos, width], one after the other in the same way.
at::Tensor sum_over_positions(const at::Tensor& t);

}  // namespace tributary::detail
