// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/batch_rows.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(BatchRows, HalvesOnceForThreadsThatRanOutTogether) {
  BatchRows rows(8);
  EXPECT_TRUE(rows.halve(8));
  EXPECT_TRUE(rows.halve(8)) << "the second of two threads";
  EXPECT_EQ(rows.get(), 4);
  EXPECT_EQ(rows.halvings(), 1);
}

TEST(BatchRows, EndsWithOneRow) {
  BatchRows rows(2);
  EXPECT_TRUE(rows.halve(2));
  EXPECT_FALSE(rows.halve(1));
  EXPECT_EQ(rows.get(), 1);
}

}  // namespace
}  // namespace tributary
