// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The largest of some numbers, the same ones on every machine: logits are equal more often than one thinks, above all
// in bfloat16, and LibTorch does not say which of equal ones its topk takes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tributary {

struct Largest {
  at::Tensor values;   //!< [row, k], dtype of the numbers
  at::Tensor columns;  //!< [row, k] int64
};

/// Of each row of `numbers` [row, n], n >= k: the largest first, equal ones in order of their columns.
Largest largest(const at::Tensor& numbers, std::int64_t k);

}  // namespace tributary
