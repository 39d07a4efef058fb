// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums from which the spread of a score over pairs follows. They travel with the sum of scores, in the same tree.
#pragma once

#include <ATen/core/Tensor.h>

namespace tributary::detail {

/// One pair's part: its scores [layer, pos, neuron] float64, their squares and their signs (spread.h), one after the
/// other [3, layer, pos, neuron].
at::Tensor spread_parts(const at::Tensor& scores);

}  // namespace tributary::detail
