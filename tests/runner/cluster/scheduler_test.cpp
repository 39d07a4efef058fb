// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The scheduler, driven by a simulated cluster with its own clock, speeds and failures.

#include "runner/cluster/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "common/errors.h"
#include "tests/runner/cluster/simulated_cluster.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using testing::Cluster;
using testing::make_units;

double random_duration(std::mt19937& random) { return std::exponential_distribution<>()(random) + 0.01; }

/// A block that came back with all units computed.
BlockResult whole(const Block& block) {
  BlockResult result;
  result.block = block.id;
  return result;
}

SchedulerOptions on(int ranks, int threads) {
  SchedulerOptions options;
  options.ranks = ranks;
  options.workers = std::int64_t{ranks} * threads;
  return options;
}

TEST(Scheduler, ComputesEveryUnitOnceWithTheSameBits) {
  const std::vector<UnitSpec> units = make_units({97, 1, 64, 5, 333});
  const std::uint64_t expected = testing::digest(testing::expected_sums(units, testing::everywhere));
  for (const int ranks : {1, 2, 3, 7}) {
    for (const int threads : {1, 2, 4}) {
      for (const Order order : {Order::Planned, Order::Shuffled}) {
        for (unsigned seed = 0; seed < 4; ++seed) {
          SchedulerOptions options = on(ranks, threads);
          options.order = order;
          options.seed = seed;
          Cluster cluster(units, options, threads);
          cluster.jitter = random_duration;
          cluster.run(seed);
          EXPECT_THAT(cluster.computed(), ::testing::Each(1));
          EXPECT_EQ(testing::digest(cluster.sums()), expected) << ranks << " ranks, " << threads << " threads";
        }
      }
    }
  }
}

TEST(Scheduler, GivesBigBlocksFirstAndSmallOnesAtTheEnd) {
  std::vector<UnitSpec> units;
  for (std::int64_t index = 0; index < 1024; ++index) units.push_back({0, index, 1.0});
  Cluster even(units, on(2, 2), 2);
  even.run(0);
  EXPECT_EQ(even.blocks().front().count, 64);  // 1024 / (4 workers × 4)
  EXPECT_EQ(even.blocks().back().count, 1);
  EXPECT_TRUE(std::is_sorted(even.blocks().rbegin(), even.blocks().rend(),
                             [](const Block& a, const Block& b) { return a.count < b.count; }));
  EXPECT_LT(even.blocks().size(), 150U);
}

TEST(Scheduler, GivesDearUnitsFirst) {
  std::vector<UnitSpec> units;
  for (std::int64_t index = 0; index < 40; ++index) units.push_back({0, index, index < 20 ? 1.0 : 50.0});
  Cluster cluster(units, on(2, 1), 1);
  cluster.run(0);
  bool cheap_seen = false;
  for (const Block& block : cluster.blocks()) {
    const bool dear = block.first + block.count > 20;
    cheap_seen = cheap_seen || !dear;
    EXPECT_FALSE(dear && cheap_seen) << "a dear unit after a cheap one";
  }
}

TEST(Scheduler, KeepsWorkersBusyToTheEnd) {
  const std::vector<UnitSpec> units = make_units({500, 500});
  Cluster cluster(units, on(3, 2), 2);
  for (const int rank : {0, 1, 2}) cluster.set_speed(rank, rank == 2 ? 0.25 : 1.0);
  cluster.run(0);
  const double ideal = cluster.table().total_cost() / (2 * (1 + 1 + 0.25));
  EXPECT_LT(cluster.now(), ideal * 1.05);
}

TEST(Scheduler, KeepsBlocksShort) {
  std::vector<UnitSpec> units;
  for (std::int64_t index = 0; index < 4096; ++index) units.push_back({0, index, 1.0});
  SchedulerOptions options = on(2, 1);
  options.block_seconds = 5;
  Cluster cluster(units, options, 1);
  cluster.set_speed(0, 10);
  cluster.set_speed(1, 2);
  cluster.run(0);
  EXPECT_EQ(cluster.blocks()[0].count, 1) << "the speed is not known yet";
  EXPECT_EQ(cluster.blocks()[1].count, 1);
  EXPECT_LE(*std::max_element(cluster.durations().begin(), cluster.durations().end()), 5.0);
  EXPECT_EQ(std::max_element(cluster.blocks().begin(), cluster.blocks().end(),
                             [](const Block& a, const Block& b) { return a.count < b.count; })
                ->count,
            32);  // 3.2 s on the fast rank; 64 would take 6.4 s
}

TEST(Scheduler, RetriesElsewhere) {
  const std::vector<UnitSpec> units = make_units({200});
  const std::uint64_t expected = testing::digest(testing::expected_sums(units, testing::everywhere));
  for (const int ranks : {2, 3, 5}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      Cluster cluster(units, on(ranks, 2), 2);
      cluster.jitter = random_duration;
      cluster.fails = [](std::int64_t unit, int rank) { return rank == 1 && unit % 4 == 0; };
      cluster.run(seed);
      EXPECT_THAT(cluster.computed(), ::testing::Each(1));
      EXPECT_THAT(cluster.given_up(), ::testing::IsEmpty());
      EXPECT_EQ(testing::digest(cluster.sums()), expected);
    }
  }
}

TEST(Scheduler, GivesUpAfterThreeAttemptsOnDifferentRanks) {
  const auto bad = [](std::int64_t unit) { return unit == 17 || unit == 60; };
  const std::vector<UnitSpec> units = make_units({100});
  const auto good = [&](std::int64_t unit) { return !bad(unit); };
  const std::uint64_t expected = testing::digest(testing::expected_sums(units, good));
  for (const int ranks : {1, 2, 3, 6}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      Cluster cluster(units, on(ranks, 1), 1);
      cluster.jitter = random_duration;
      cluster.fails = [&](std::int64_t unit, int) { return bad(unit); };
      cluster.run(seed);
      EXPECT_EQ(cluster.given_up().size(), 2U);
      for (const FailedUnit& failure : cluster.given_up()) {
        const std::vector<int> tried = cluster.ranks_tried(failure.unit);
        EXPECT_EQ(tried.size(), ranks == 1 ? 2U : 3U);
        EXPECT_EQ(failure.text, "on rank " + std::to_string(tried.back()));
        EXPECT_EQ(failure.rank, tried.back());
        const auto different = std::set<int>(tried.begin(), tried.end()).size();
        EXPECT_EQ(different, std::min<std::size_t>(3, ranks));
        EXPECT_TRUE(ranks == 1 || std::adjacent_find(tried.begin(), tried.end()) == tried.end());
      }
      EXPECT_EQ(testing::digest(cluster.sums()), expected);
    }
  }
}

/// Bad machines fail at once, so they are the first to ask for whatever comes free.
TEST(Scheduler, BenchesBadRanksBeforeTheyUseUpTheAttemptsOfUnits) {
  const std::vector<UnitSpec> units = make_units({150, 40});
  const std::uint64_t expected = testing::digest(testing::expected_sums(units, testing::everywhere));
  for (const int bad : {1, 3, 5}) {
    for (const bool one_node : {true, false}) {
      for (unsigned seed = 0; seed < 5; ++seed) {
        SchedulerOptions options = on(bad + 1, 2);
        for (int rank = 0; rank <= bad; ++rank) options.nodes.push_back(rank == bad ? 100 : one_node ? 0 : rank);
        Cluster cluster(units, options, 2);
        cluster.jitter = random_duration;
        cluster.fails = [bad](std::int64_t, int rank) { return rank < bad; };
        for (int rank = 0; rank < bad; ++rank) cluster.set_speed(rank, 1e6);
        cluster.run(seed);
        EXPECT_THAT(cluster.computed(), ::testing::Each(1));
        EXPECT_THAT(cluster.given_up(), ::testing::IsEmpty());
        EXPECT_EQ(cluster.benched().size(), static_cast<std::size_t>(bad));
        EXPECT_EQ(testing::digest(cluster.sums()), expected);
      }
    }
  }
}

/// A unit may leave a card in a state in which everything fails from then on.
TEST(Scheduler, ABadUnitThatSpoilsItsRanksIsTheOnlyOneGivenUp) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    Cluster cluster(make_units({200}), on(6, 1), 1);
    cluster.jitter = random_duration;
    std::set<int> spoilt;
    cluster.fails = [&spoilt](std::int64_t unit, int rank) {
      if (unit == 90) spoilt.insert(rank);
      return spoilt.count(rank) > 0;
    };
    cluster.run(seed);
    ASSERT_EQ(cluster.given_up().size(), 1U);
    EXPECT_EQ(cluster.given_up().front().unit, 90);
    EXPECT_EQ(std::count(cluster.computed().begin(), cluster.computed().end(), 1), 199);
  }
}

TEST(Scheduler, EndsWhereEveryRankIsBad) {
  for (const int ranks : {1, 2, 5}) {
    Cluster cluster(make_units({500}), on(ranks, 2), 2);
    cluster.fails = [](std::int64_t, int) { return true; };
    cluster.run(0);
    EXPECT_TRUE(cluster.scheduler().hopeless());
    EXPECT_FALSE(cluster.scheduler().any_waits_for_another_attempt());
    EXPECT_EQ(cluster.benched().size(), static_cast<std::size_t>(ranks));
    EXPECT_FALSE(cluster.given_up().empty());
    EXPECT_LT(cluster.blocks().size(), 100U) << "not all units are tried in vain";
  }
}

TEST(Scheduler, LeavesOutWhatIsDone) {
  const std::vector<UnitSpec> units = make_units({50, 20});
  const UnitTable table(units);
  Scheduler scheduler(table, on(1, 1));
  scheduler.mark_done(0, 3, 30);
  scheduler.mark_done(1, 0, 20);
  EXPECT_EQ(scheduler.units_left(), 23);
  EXPECT_THROW(scheduler.mark_done(0, 29, 31), ContractViolation);
  std::vector<bool> given(50);
  while (const std::optional<Block> block = scheduler.next(0)) {
    ASSERT_EQ(block->lane, 0);
    for (std::int64_t i = block->first; i < block->first + block->count; ++i) {
      EXPECT_FALSE(given[i]);
      EXPECT_TRUE(i < 3 || i >= 30);
      given[i] = true;
    }
    scheduler.finish(0, whole(*block));
  }
  EXPECT_EQ(std::count(given.begin(), given.end(), true), 23);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, FinishesAtOnceWhenNothingIsToDo) {
  const UnitTable none({});
  EXPECT_TRUE(Scheduler(none, on(2, 2)).finished());
  const std::vector<UnitSpec> units = make_units({4});
  const UnitTable table(units);
  Scheduler scheduler(table, on(1, 1));
  scheduler.mark_done(0, 0, 4);
  EXPECT_TRUE(scheduler.finished());
}

TEST(Scheduler, StopsHandingOutAndKeepsTheRest) {
  const UnitTable table(make_units({64}));
  Scheduler scheduler(table, on(2, 1));
  const Block first = scheduler.next(0).value();
  const Block second = scheduler.next(1).value();
  scheduler.stop();
  EXPECT_FALSE(scheduler.next(0).has_value());
  EXPECT_FALSE(scheduler.finished()) << "blocks are out";
  scheduler.finish(0, whole(first));
  BlockResult cut;
  cut.block = second.id;
  for (std::int64_t i = 1; i < second.count; ++i) cut.unstarted.push_back(table.unit_at(0, second.first + i));
  scheduler.finish(1, cut);
  EXPECT_TRUE(scheduler.finished());
  EXPECT_EQ(scheduler.units_left(), 64 - first.count - 1);
}

TEST(Scheduler, PrefetchLeavesTheLastUnitsToIdleWorkers) {
  const UnitTable table(make_units({4}));
  Scheduler scheduler(table, on(3, 1));
  EXPECT_TRUE(scheduler.next(0).has_value());
  EXPECT_TRUE(scheduler.next(0, Demand::Prefetch).has_value()) << "three left for three workers";
  EXPECT_FALSE(scheduler.next(0, Demand::Prefetch).has_value()) << "two left";
  EXPECT_TRUE(scheduler.next(1).has_value());
  EXPECT_TRUE(scheduler.next(2).has_value());
}

TEST(Scheduler, ShuffledOrderDependsOnTheSeed) {
  const std::vector<UnitSpec> units = make_units({60});
  const auto order = [&](std::uint64_t seed) {
    SchedulerOptions options = on(1, 1);
    options.order = Order::Shuffled;
    options.seed = seed;
    Cluster cluster(units, options, 1);
    cluster.run(0);
    std::vector<std::int64_t> firsts;
    for (const Block& block : cluster.blocks()) firsts.push_back(block.first);
    return firsts;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
  const std::vector<std::int64_t> shuffled = order(3);
  EXPECT_FALSE(std::is_sorted(shuffled.begin(), shuffled.end()));
}

TEST(Scheduler, RefusesResultsOfBlocksThatAreNotOut) {
  const UnitTable table(make_units({8}));
  Scheduler scheduler(table, on(2, 1));
  const Block block = scheduler.next(0).value();
  EXPECT_THROW(scheduler.finish(1, whole(block)), ContractViolation);
  scheduler.finish(0, whole(block));
  EXPECT_THROW(scheduler.finish(0, whole(block)), ContractViolation);
}

TEST(UnitTable, RefusesGapsRepeatsAndBadCosts) {
  EXPECT_NO_THROW(UnitTable({{1, 0, 1}, {0, 1, 1}, {0, 0, 1}}));
  EXPECT_THROW(UnitTable({{0, 1, 1}, {0, 2, 1}, {0, 2, 1}}), ContractViolation);
  EXPECT_THROW(UnitTable({{0, 0, 1}, {0, 0, 1}}), ContractViolation);
  EXPECT_THROW(UnitTable({{0, 1, 1}, {1, 0, 1}}), ContractViolation);
  EXPECT_THROW(UnitTable({{1, 0, 1}, {1, 1, 1}}), ContractViolation);
  EXPECT_THROW(UnitTable({{-1, 0, 1}}), ContractViolation);
  EXPECT_THROW(UnitTable({{0, 0, 0}}), ContractViolation);
  EXPECT_THROW(UnitTable({{0, 0, std::nan("")}}), ContractViolation);
}

}  // namespace
}  // namespace tributary
