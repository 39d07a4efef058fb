// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What encoding and decoding share.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/errors.h"

namespace tributary::detail {

/// Calls body(0) with a 0 of the numbers' type, float or double.
template <typename Body>
void with_type_of(const at::Tensor& numbers, const Body& body) {
  TRIBUTARY_EXPECT(numbers.is_cpu(), "features are computed on the host");
  numbers.scalar_type() == at::kFloat ? body(float{}) : body(double{});
}

}  // namespace tributary::detail
