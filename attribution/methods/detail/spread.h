// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What one pair adds to the sums over pairs, and to those that tell how far pairs agree.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tributary::detail {

/// Which numbers of a pair are summed.
struct PairParts {
  enum class Value { score, magnitude } value = Value::score;
  enum class Tables {
    sum,    //!< the value
    spread  //!< the value, its square, and its sign: 1 for a positive one, negative_sign for a negative one
  } tables = Tables::sum;
};

/// Those of scores [layer, pos, neuron] in any dtype, of the last positions of `positions`: float64 [layer, positions,
/// neuron], of a spread [3, layer, positions, neuron]; zero at the positions before.
at::Tensor parts_of(const at::Tensor& scores, const PairParts& parts, std::int64_t positions);
/// left += those, in one pass over memory.
void add_parts(const at::Tensor& scores, const PairParts& parts, const at::Tensor& left);

}  // namespace tributary::detail
