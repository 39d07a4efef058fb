// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attribution/model/tensors.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::IsEmpty;

TEST(SplitRows, GivesEachUnitItsPairs) {
  const at::Tensor wide = at::arange(12, at::kDouble).reshape({4, 3});
  const at::Tensor narrow = at::arange(100, 104, at::kDouble).reshape({4, 1});
  const auto written = [](double flops, std::int64_t first, std::int64_t pairs, const at::Tensor& a,
                          const at::Tensor& b) {
    RowWriter rows(flops);
    rows.add(a.narrow(0, first, pairs));
    rows.add({});
    rows.add(b.narrow(0, first, pairs));
    return rows.take();
  };
  const std::vector<double> all = written(5e9, 0, 4, wide, narrow);
  EXPECT_THAT(split_rows(all, {1, 2, 1}),
              ElementsAre(Eq(written(5e9, 0, 1, wide, narrow)), Eq(written(0, 1, 2, wide, narrow)),
                          Eq(written(0, 3, 1, wide, narrow))));
  EXPECT_THAT(split_rows(all, {4}), ElementsAre(Eq(all)));
}

TEST(SplitRows, OfNothingAreNothing) { EXPECT_THAT(split_rows({}, {1, 2}), ElementsAre(IsEmpty(), IsEmpty())); }

TEST(SplitRows, TakeAllThatWasWritten) { EXPECT_ANY_THROW((void)split_rows({0, 3, 1, 2}, {1})); }

}  // namespace
}  // namespace tributary
