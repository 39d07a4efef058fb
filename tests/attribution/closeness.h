// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How close a result in some dtype must be to one in float64.
#pragma once

#include <gtest/gtest.h>
#include "attribution/model/tensors.h"

namespace tributary::testing {

/// dtype of the residual stream beside a network's.
inline at::ScalarType stream_type(at::ScalarType network) { return network == at::kDouble ? at::kDouble : at::kFloat; }

/// Relative to the largest element: what sums in this dtype (bfloat16: in float32) may lose.
inline double tolerance_of(at::ScalarType type) { return type == at::kDouble ? 1e-10 : 1e-5; }

/// Element-wise: the rounding of the element itself, and what sums lose.
inline void expect_close(const at::Tensor& actual, const at::Tensor& expected) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const at::Tensor truth = expected.detach().to(at::kDouble);
  const double own = actual.scalar_type() == at::kBFloat16 ? 1.0 / 256 : 0;
  const at::Tensor allowed =
      truth.abs() * own + tolerance_of(actual.scalar_type()) * truth.abs().max().clamp_min(1e-30);
  const at::Tensor excess = (actual.detach().to(at::kDouble) - truth).abs() - allowed;
  EXPECT_LE(excess.max().item<double>(), 0)
      << "at element " << excess.argmax().item<std::int64_t>() << ", largest " << truth.abs().max().item<double>();
  EXPECT_TRUE(at::isfinite(actual).all().item<bool>());
}

inline void expect_same_bits(const at::Tensor& a, const at::Tensor& b) {
  ASSERT_EQ(a.sizes(), b.sizes());
  ASSERT_EQ(a.scalar_type(), b.scalar_type());
  EXPECT_TRUE(at::equal(a, b)) << "largest difference "
                               << (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

inline double largest(const at::Tensor& t) { return t.abs().max().item<double>(); }

/// The same numbers as rows further apart than they are wide, in dtype `type`. NaN lies between them: whoever reads it
/// fails, and `untouched` tells whether someone wrote there.
struct Strided {
  at::Tensor buffer, rows;

  explicit Strided(const at::Tensor& matrix, at::ScalarType type)
      : buffer(at::full({matrix.size(0), matrix.size(1) + 7}, std::numeric_limits<double>::quiet_NaN(), type)),
        rows(buffer.narrow(1, 3, matrix.size(1))) {
    rows.copy_(matrix.detach());
  }
  [[nodiscard]] bool untouched() const {
    return at::isnan(buffer.narrow(1, 0, 3)).all().item<bool>() &&
           at::isnan(buffer.narrow(1, 3 + rows.size(1), 4)).all().item<bool>();
  }
};

}  // namespace tributary::testing
