// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums of an integral in one pass over memory, on the CPU by all threads of a team. Every product and every sum is
// rounded by itself, as LibTorch's separate operations round them (its own fused ones are fused in a vector loop and
// not in its tail, whose place depends on sizes).
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/methods/integrate.h"

namespace tributary::detail {

/// sum += weight × term.
void add_scaled(const at::Tensor& sum, const at::Tensor& term, double weight);

/// sum += interval gradient × (value here - value before); then what is here takes the place of what was before, the
/// gradient where intervals use it. All of one shape.
void add_interval(const at::Tensor& sum, const PathSample& before, const PathSample& here, IntervalGradient which);

/// to = from, of any types, [row, …] with the numbers of a row side by side in both.
void copy_rows(const at::Tensor& to, const at::Tensor& from);

}  // namespace tributary::detail
