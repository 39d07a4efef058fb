// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/execution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <vector>

namespace tributary {
namespace {

using ::testing::ElementsAre;

/// Computes all units at once, and keeps what came of it.
class AllAtOnce : public StageSource {
 public:
  [[nodiscard]] StageResult result_of(const Stage& stage) const override {
    std::vector<std::int64_t> units;
    for (std::int64_t unit = 0; unit < std::ssize(stage.units); ++unit) units.push_back(unit);
    run = stage.at_once.compute(units, 0);
    return {};
  }
  mutable RunResult run;
};

TEST(RunPlan, UnitsComputedAtOnceAreOneChunkAndGiveOneSumOfEachKind) {
  const AllAtOnce source;
  const Communicator alone;
  const BatchRows rows(1);
  Timings timings;
  StagePlan plan;
  plan.chunks = {{{3, 4}, {}}, {{5}, {}}};
  plan.units = {{0, 0, 1}, {0, 1, 1}};
  plan.at_once = {2};
  std::vector<std::int64_t> members;
  (void)run_plan({alone, source, rows, nullptr, timings}, "work", plan, [&](const Chunk& chunk) {
    members = chunk.members;
    return UnitResult{{1.5}, {}, {1, {7, 9}, {2.5, 3.5}}};
  });
  EXPECT_THAT(members, ElementsAre(3, 4, 5));
  EXPECT_THAT(source.run.sum, ElementsAre(1.5));
  EXPECT_EQ(source.run.sparse, (SparseSum{1, {7, 9}, {2.5, 3.5}}));
  EXPECT_EQ(source.run.rows.size(), 2U);
}

}  // namespace
}  // namespace tributary
