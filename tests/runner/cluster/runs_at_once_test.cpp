// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Units that are computed at once: what the scheduler hands out of them, and what workers make of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>

#include "common/errors.h"
#include "runner/cluster/stage.h"
#include "tests/runner/cluster/simulated_cluster.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using testing::Cluster;
using testing::digest;
using ::testing::ElementsAre;
using testing::everywhere;
using ::testing::IsEmpty;
using testing::make_run_result;
using ::testing::SizeIs;

std::vector<std::int64_t> block_sizes(const std::vector<UnitSpec>& units, std::int64_t workers, std::int64_t at_once) {
  SchedulerOptions options;
  options.ranks = 1;
  options.workers = workers;
  options.at_once = {at_once};
  options.block_seconds = 10;
  Cluster cluster(units, options, static_cast<int>(workers));
  cluster.set_speed(0, 100);
  cluster.run(0);
  std::vector<std::int64_t> sizes;
  for (const Block& block : cluster.blocks()) sizes.push_back(block.count);
  return sizes;
}

TEST(RunsAtOnce, GoWholeToAWorkerThatIsAlone) {
  const std::vector<UnitSpec> units(testing::make_units({10}));
  EXPECT_THAT(block_sizes(units, 1, 16), ElementsAre(10));
  EXPECT_THAT(block_sizes(units, 1, 8), ElementsAre(8, 2));
}

TEST(RunsAtOnce, AreSplitWhereOthersWouldHaveNothing) {
  std::vector<UnitSpec> even;
  for (std::int64_t index = 0; index < 10; ++index) even.push_back({0, index, 1.0});
  EXPECT_THAT(block_sizes(even, 2, 16), ElementsAre(4, 2, 2, 1, 1));
  EXPECT_THAT(block_sizes(even, 10, 16), SizeIs(10));
}

TEST(RunsAtOnce, AreShorterOnARankThatIsKnownToBeSlow) {
  std::vector<UnitSpec> units;
  for (std::int64_t index = 0; index < 64; ++index) units.push_back({0, index, 1.0});
  SchedulerOptions options;
  options.at_once = {16};
  options.block_seconds = 5;
  Cluster cluster(units, options, 1);
  cluster.run(0);
  EXPECT_EQ(cluster.blocks()[0].count, 16) << "its speed was not known";
  for (std::size_t i = 1; i < cluster.blocks().size(); ++i) EXPECT_LE(cluster.blocks()[i].count, 4);
}

TEST(RunsAtOnce, ArePowersOfTwoOfEachLane) {
  const UnitTable table(testing::make_units({4, 4}));
  for (const std::vector<std::int64_t>& wrong : {std::vector<std::int64_t>{2}, {2, 3}, {2, 0}}) {
    SchedulerOptions options;
    options.at_once = wrong;
    EXPECT_THROW(Scheduler(table, options), ContractViolation);
  }
}

/// A stage whose units are computed at once, and what was asked of it.
class RunsOfAStage : public ::testing::Test {
 protected:
  StageResult run(int threads, Order order, std::uint64_t seed) {
    StageOptions options;
    options.name = "test";
    options.threads.workers = threads;
    options.order = order;
    options.seed = seed;
    options.stop = &stop_;
    options.at_once = {[this](const std::vector<std::int64_t>& units, int) {
                         const UnitSpec& spec = table_.spec(units.front());
                         const std::int64_t lane = spec.lane, first = spec.index, count = std::ssize(units);
                         {
                           const std::lock_guard lock(mutex_);
                           sizes_.insert(count);
                         }
                         if (before_run) before_run(lane, first, count);
                         RunResult result = make_run_result(table_, lane, first, count);
                         if (spoil_run) spoil_run(result);
                         return result;
                       },
                       {8, 2, 4, 16}};
    return run_stage(
        {}, units_,
        [this](std::int64_t unit, int) {
          ++alone_;
          if (before_unit) before_unit(unit);
          return testing::make_result(units_[static_cast<std::size_t>(unit)], unit);
        },
        options);
  }
  void expect_results(const StageResult& result, const testing::Present& present) const {
    EXPECT_EQ(digest(result.sums), digest(testing::expected_sums(units_, present)));
    EXPECT_EQ(digest(result.rows), digest(testing::expected_rows(units_, present)));
    EXPECT_EQ(digest(result.sparse), digest(testing::expected_sparse(units_, present)));
  }

  const std::vector<UnitSpec> units_ = testing::make_units({70, 1, 33, 128});
  const UnitTable table_{units_};
  std::function<void(std::int64_t lane, std::int64_t first, std::int64_t count)> before_run;
  std::function<void(RunResult& run)> spoil_run;
  std::function<void(std::int64_t unit)> before_unit;
  StopFlag stop_;
  std::mutex mutex_;
  std::set<std::int64_t> sizes_;
  std::atomic<int> alone_ = 0;
};

TEST_F(RunsOfAStage, HaveTheBytesOfUnitsAlone) {
  for (const int threads : {1, 2, 4}) {
    for (const Order order : {Order::Planned, Order::Shuffled}) {
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const StageResult result = run(threads, order, seed);
        expect_results(result, everywhere);
        EXPECT_FALSE(result.stopped || result.any_failed);
      }
    }
  }
  EXPECT_TRUE(sizes_.contains(16) && sizes_.contains(8) && sizes_.contains(2));
  EXPECT_LE(*sizes_.rbegin(), 16);
}

TEST_F(RunsOfAStage, LoseOnlyTheUnitThatFails) {
  const auto bad = [](std::int64_t unit) { return unit == 5 || unit == 100; };
  before_run = [&](std::int64_t lane, std::int64_t first, std::int64_t count) {
    for (std::int64_t index = first; index < first + count; ++index) {
      if (bad(table_.unit_at(lane, index))) throw std::runtime_error("one of them is bad");
    }
  };
  before_unit = [&](std::int64_t unit) {
    if (bad(unit)) throw std::runtime_error("unit " + std::to_string(unit) + " is bad");
  };
  const StageResult result = run(2, Order::Planned, 0);
  ASSERT_THAT(result.failed, SizeIs(2));
  EXPECT_EQ(result.failed[0].text, "unit 5 is bad");
  EXPECT_EQ(result.failed[1].text, "unit 100 is bad");
  expect_results(result, [&](std::int64_t unit) { return !bad(unit); });
}

TEST_F(RunsOfAStage, AreComputedOneByOneWhereAllAtOnceFails) {
  before_run = [](std::int64_t, std::int64_t, std::int64_t) { throw std::bad_alloc(); };
  const StageResult result = run(2, Order::Planned, 0);
  EXPECT_THAT(result.failed, IsEmpty());
  EXPECT_EQ(alone_, std::ssize(units_));
  expect_results(result, everywhere);
}

TEST_F(RunsOfAStage, AreComputedOneByOneWhereTheirSumIsNone) {
  spoil_run = [](RunResult& run) { run.sparse = {3, {7}, {1, 2, 3, 4}}; };
  const StageResult result = run(2, Order::Planned, 0);
  EXPECT_THAT(result.failed, IsEmpty());
  EXPECT_EQ(alone_, std::ssize(units_));
  expect_results(result, everywhere);
}

TEST_F(RunsOfAStage, AreLeftWholeByAStop) {
  std::atomic<int> runs = 0;
  before_run = [&](std::int64_t, std::int64_t, std::int64_t) {
    if (++runs < 3) return;
    stop_.request();
    throw Stopped();
  };
  const StageResult result = run(1, Order::Planned, 0);
  EXPECT_TRUE(result.stopped);
  EXPECT_THAT(result.failed, IsEmpty());
  EXPECT_LE(runs, 4) << "what was handed out before the stop was heard of is left as well";
  EXPECT_EQ(alone_, 0);
}

TEST_F(RunsOfAStage, AreLeftByAStopWhileUnitsAreComputedOneByOne) {
  before_run = [](std::int64_t, std::int64_t, std::int64_t) { throw std::runtime_error("not at once"); };
  before_unit = [&](std::int64_t) {
    if (alone_ < 6) return;
    stop_.request();
    throw Stopped();
  };
  const StageResult result = run(1, Order::Planned, 0);
  EXPECT_TRUE(result.stopped);
  EXPECT_THAT(result.failed, IsEmpty());
  EXPECT_LE(alone_, 7);
}

}  // namespace
}  // namespace tributary
