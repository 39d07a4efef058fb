// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/fused_sums.h"

#include <gtest/gtest.h>

#include "attribution/model/tensors.h"
#include "common/team.h"

namespace tributary::testing {
namespace {

struct Case {
  at::ScalarType type;
  int threads;
};

class FusedSums : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] at::Tensor numbers() const { return at::randn({5, 1237, 3}, GetParam().type); }
  Team team_{GetParam().threads};
};

TEST_P(FusedSums, OfScaledTermsAreRoundedAsSeparateOperationsRoundThem) {
  const at::Tensor sum = numbers(), term = numbers();
  const at::Tensor expected = sum + term * (1.0 / 3);
  detail::add_scaled(sum, term, 1.0 / 3);
  EXPECT_TRUE(at::equal(sum, expected));
}

TEST_P(FusedSums, OfIntervalsAreThoseOfSeparateOperations) {
  for (const auto which : {IntervalGradient::left, IntervalGradient::right, IntervalGradient::mean}) {
    const at::Tensor sum = numbers();
    PathSample before, here;
    before.value = numbers();
    before.gradient = numbers();
    here.value = numbers();
    here.gradient = numbers();
    const at::Tensor change = here.value - before.value;
    const at::Tensor gradient = which == IntervalGradient::left    ? before.gradient.clone()
                                : which == IntervalGradient::right ? here.gradient
                                                                   : before.gradient + here.gradient;
    const at::Tensor term = gradient * change;
    const at::Tensor expected = sum + (which == IntervalGradient::mean ? term * 0.5 : term);
    if (which == IntervalGradient::right) before.gradient = at::Tensor();
    detail::add_interval(sum, before, here, which);
    EXPECT_TRUE(at::equal(sum, expected));
    EXPECT_TRUE(at::equal(before.value, here.value));
    if (which != IntervalGradient::right) {
      EXPECT_TRUE(at::equal(before.gradient, here.gradient));
    }
  }
}

TEST_P(FusedSums, TakeViewsThatDoNotLieSideBySide) {
  const at::Tensor sum = numbers(), turned = numbers().transpose(1, 2).contiguous().transpose(1, 2);
  const at::Tensor expected = sum + turned * 0.1;
  detail::add_scaled(sum, turned, 0.1);
  EXPECT_TRUE(at::equal(sum, expected));
}

TEST_P(FusedSums, CopyRowsOfParts) {
  const at::Tensor all = at::zeros({7, 4, 6, 11}, GetParam().type);
  const at::Tensor from = at::randn({7, 2, 11}, at::kDouble);
  for (const at::Tensor& rows : {from.to(GetParam().type), from, from.transpose(0, 1).contiguous().transpose(0, 1)}) {
    all.zero_();
    detail::copy_rows(all.select(1, 2).narrow(1, 4, 2), rows);
    at::Tensor expected = at::zeros_like(all);
    expected.select(1, 2).narrow(1, 4, 2).copy_(rows);
    EXPECT_TRUE(at::equal(all, expected));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, FusedSums,
                         ::testing::Values(Case{at::kFloat, 1}, Case{at::kFloat, 3}, Case{at::kDouble, 1},
                                           Case{at::kDouble, 3}));

}  // namespace
}  // namespace tributary::testing
