// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A stage over real ranks when all goes well: the same bytes however many take part, and all of them do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "runner/cluster/stage.h"
#include "runner/cluster/units.h"
#include "tests/runner/cluster/over_ranks.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using testing::everywhere;
using ::testing::IsEmpty;
using testing::OverRanks;
using testing::with_threads;

TEST_F(OverRanks, HaveTheSameBytesForAnyThreadsAndOrder) {
  for (const int threads : {1, 2}) {
    for (const Order order : {Order::Planned, Order::Shuffled}) {
      StageOptions options = with_threads(threads);
      options.order = order;
      options.seed = 11;
      const StageResult result = run_stage(comm, units_, compute_, options);
      expect_results(result, everywhere);
      EXPECT_FALSE(result.stopped || result.any_failed);
    }
  }
}

TEST_F(OverRanks, HaveTheSameBytesWhereUnitsAreComputedAtOnce) {
  const UnitTable table(units_);
  for (const Order order : {Order::Planned, Order::Shuffled}) {
    StageOptions options = with_threads(2);
    options.order = order;
    options.seed = 7;
    options.at_once = {[&](const std::vector<std::int64_t>& units, int) {
                         const UnitSpec& first = table.spec(units.front());
                         return testing::make_run_result(table, first.lane, first.index, std::ssize(units));
                       },
                       {8, 1, 4, 16}};
    expect_results(run_stage(comm, units_, compute_, options), everywhere);
  }
}

TEST_F(OverRanks, AllTakePart) {
  std::atomic<std::int64_t> mine = 0;
  run_stage(
      comm, units_,
      [&](std::int64_t unit, int worker) {
        ++mine;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return compute_(unit, worker);
      },
      with_threads(comm.rank() == 0 ? 1 : 2));
  const std::vector<std::int64_t> computed = comm.gather(mine.load());
  EXPECT_EQ(std::accumulate(computed.begin(), computed.end(), std::int64_t{0}), is_root() ? std::ssize(units_) : 0);
  for (const std::int64_t units : computed) EXPECT_GT(units, 0);
}

TEST_F(OverRanks, FewUnitsSpreadOverRanks) {
  std::atomic<std::int64_t> mine = 0;
  run_stage(
      comm, testing::make_units({comm.size()}),
      [&](std::int64_t, int) {
        ++mine;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return UnitResult{{1.0}, {}};
      },
      with_threads(2));
  EXPECT_EQ(mine, 1);
}

TEST_F(OverRanks, ShowProgressOnRankZeroOnly) {
  StageOptions options = with_threads(1);
  std::vector<std::int64_t> done;
  options.on_progress = [&](const Progress& progress) { done.push_back(progress.done); };
  options.seed = 1;
  run_stage(
      comm, testing::make_units({std::int64_t{6} * comm.size()}),
      [&](std::int64_t, int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return UnitResult{{1.0}, {}};
      },
      options);
  if (!is_root()) {
    EXPECT_THAT(done, IsEmpty());
    return;
  }
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_GT(done.size(), 5U);
  EXPECT_EQ(done.back(), 6 * comm.size());
}

TEST_F(OverRanks, CarryLargeSums) {
  constexpr std::int64_t kNumbers = 6'250'000;  // 50 MB
  constexpr std::int64_t kUnits = 6;
  const StageResult result = run_stage(
      comm, testing::make_units({kUnits}),
      [](std::int64_t unit, int) {
        UnitResult unit_result;
        unit_result.sum.resize(kNumbers, static_cast<double>(unit));
        unit_result.sum.back() = testing::adversarial(unit, 0);
        return unit_result;
      },
      with_threads(1));
  if (!is_root()) return;
  ASSERT_EQ(std::ssize(result.sums.at(0)), kNumbers);
  EXPECT_EQ(result.sums[0][kNumbers / 2], 15);
  EXPECT_EQ(result.sums[0].back(),
            testing::lane_sum(kUnits, [](std::int64_t unit) { return testing::adversarial(unit, 0); }).value());
}

/// A block of more than one unit would take longer than allowed, so none is made.
TEST_F(OverRanks, MakeNoBlockLongerThanAllowed) {
  constexpr std::int64_t kUnits = 400;
  StageOptions options = with_threads(1);
  options.block_seconds = 1e-9;
  std::atomic<std::int64_t> blocks = 0;
  options.write = [&](const BlockResult&) { ++blocks; };
  run_stage(
      comm, testing::make_units({kUnits}),
      [](std::int64_t, int) {
        return UnitResult{{1.0}, {}};
      },
      options);
  const std::vector<std::int64_t> kept = comm.gather(blocks);
  if (is_root()) {
    EXPECT_EQ(std::accumulate(kept.begin(), kept.end(), std::int64_t{0}), kUnits);
  }
}

}  // namespace
}  // namespace tributary
