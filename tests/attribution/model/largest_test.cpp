// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/largest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "attribution/model/tensors.h"

namespace tributary {
namespace {

TEST(Largest, TakesEqualOnesInOrder) {
  const at::Tensor numbers = at::tensor({1.0F, 3.0F, 3.0F, 2.0F, 3.0F, 5.0F, 4.0F, 0.0F, -1.0F, 4.0F}).view({2, 5});
  const Largest found = largest(numbers, 2);
  EXPECT_TRUE(found.columns.equal(at::tensor({1, 2, 0, 1}).to(at::kLong).view({2, 2})));
  EXPECT_TRUE(found.values.equal(at::tensor({3.0F, 3.0F, 5.0F, 4.0F}).view({2, 2})));
}

/// Where all are equal, or all are asked for, and among as many as a vocabulary has.
TEST(Largest, TakesTheFirstOfEquals) {
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{5}, std::int64_t{100'000}}) {
    for (const std::int64_t k : {std::int64_t{1}, std::min<std::int64_t>(n, 5)}) {
      for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
        const Largest found = largest(at::zeros({3, n}, type), k);
        EXPECT_TRUE(found.columns.equal(at::arange(k).expand({3, k}))) << n << " " << k;
      }
    }
  }
}

}  // namespace
}  // namespace tributary
