// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/cluster/fold_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/errors.h"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Lane 0: units 0 to 2 of costs 1, 2, 4; lane 1: unit 3 of cost 8.
const UnitTable& table() {
  static const UnitTable units({{0, 0, 1}, {0, 1, 2}, {0, 2, 4}, {1, 0, 8}});
  return units;
}

BlockResult block(TreeNode node, std::vector<UnitRows> rows = {}) {
  BlockResult result;
  result.nodes.push_back(std::move(node));
  result.rows = std::move(rows);
  return result;
}

TEST(FoldSink, FoldsSumsByLaneAndKeepsRowsByUnit) {
  FoldSink sink(table());
  sink.add(block({0, 0, 2, {4}}, {{2, {0.5, 0.25}}}));
  sink.add(block({1, 0, 0, {8, 9}}));
  sink.add(block({0, 1, 0, {3}}));
  EXPECT_THAT(sink.take_sums(), ElementsAre(ElementsAre(7), ElementsAre(8, 9)));
  EXPECT_THAT(sink.take_rows(), ElementsAre(IsEmpty(), IsEmpty(), ElementsAre(0.5, 0.25), IsEmpty()));
}

TEST(FoldSink, FoldsSparseSumsByLane) {
  FoldSink sink(table());
  sink.add(block({0, 0, 2, {}, {1, {5, 8}, {2, 3}}}));
  sink.add(block({1, 0, 0, {}, {2, {1}, {8, 9}}}));
  EXPECT_THAT(FoldSink(table()).take_sparse(), ElementsAre(SparseSum{}, SparseSum{})) << "nothing is complete";
  sink.add(block({0, 1, 0, {}, {1, {5}, {4}}}));
  EXPECT_THAT(sink.take_sparse(), ElementsAre(SparseSum{1, {5, 8}, {6, 3}}, SparseSum{2, {1}, {8, 9}}));
}

TEST(FoldSink, CountsWhatABlockHasComputed) {
  const FoldSink sink(table());
  const Amount amount = sink.amount_in(block({0, 1, 0, {3}}));
  EXPECT_EQ(amount.units, 2);
  EXPECT_EQ(amount.cost, 3);
}

TEST(FoldSink, KnowsWhatItHas) {
  FoldSink sink(table());
  sink.add(block({0, 0, 1, {2}}));
  EXPECT_TRUE(sink.has_any_of(block({0, 1, 0, {3}}))) << "one of two units";
  EXPECT_FALSE(sink.has_any_of(block({0, 0, 0, {1}})));
  EXPECT_FALSE(sink.has_any_of(block({0, 1, 1, {4}})));
  EXPECT_FALSE(sink.has_any_of(block({1, 0, 0, {8}})));
}

TEST(FoldSink, GoesOnWithoutWhatIsSkipped) {
  FoldSink sink(table());
  sink.add(block({0, 1, 0, {3}}));
  EXPECT_THAT(FoldSink(table()).take_sums(), ElementsAre(IsEmpty(), IsEmpty())) << "nothing is complete";
  sink.skip(2);
  sink.skip(3);
  EXPECT_THAT(sink.take_sums(), ElementsAre(ElementsAre(3), IsEmpty()));
}

TEST(FoldSink, RefusesABlockOfAnotherStage) {
  FoldSink sink(table());
  EXPECT_THROW(sink.add(block({2, 0, 0, {1}})), ContractViolation);
  EXPECT_THROW((void)sink.has_any_of(block({0, 3, 0, {1}})), ContractViolation);
  EXPECT_THROW((void)sink.amount_in(block({-1, 0, 0, {1}})), ContractViolation);
}

}  // namespace
}  // namespace tributary
