// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A stage in one process: no MPI, real threads. stage_mpi_tests.cpp repeats it over ranks.

#include "runner/cluster/stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "common/errors.h"
#include "runner/cluster/block_codec.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using testing::digest;
using ::testing::Each;
using testing::everywhere;
using testing::expected_rows;
using testing::expected_sums;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::make_result;

const std::vector<UnitSpec>& units() {
  static const std::vector<UnitSpec> kUnits = testing::make_units({70, 1, 33, 128});
  return kUnits;
}

UnitResult compute(std::int64_t unit, int /*worker*/) { return make_result(units()[unit], unit); }

StageOptions with_threads(int threads) {
  StageOptions options;
  options.name = "test";
  options.threads.workers = threads;
  return options;
}

void expect_results(const StageResult& result, const testing::Present& present) {
  EXPECT_EQ(digest(result.sums), digest(expected_sums(units(), present)));
  EXPECT_EQ(digest(result.rows), digest(expected_rows(units(), present)));
  EXPECT_EQ(digest(result.sparse), digest(testing::expected_sparse(units(), present)));
}

TEST(Stage, HasTheSameBytesForAnyThreadsAndOrder) {
  for (const int threads : {1, 2, 4}) {
    for (const Order order : {Order::Planned, Order::Shuffled}) {
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        StageOptions options = with_threads(threads);
        options.order = order;
        options.seed = seed;
        const StageResult result = run_stage({}, units(), compute, options);
        expect_results(result, everywhere);
        EXPECT_FALSE(result.stopped || result.any_failed);
      }
    }
  }
}

TEST(Stage, RunsWithNothingToDo) {
  const StageResult result = run_stage({}, {}, compute, with_threads(2));
  EXPECT_THAT(result.sums, IsEmpty());
  EXPECT_FALSE(result.stopped || result.any_failed);
}

TEST(Stage, GivesEachWorkerItsOwnThread) {
  std::mutex mutex;
  std::vector<std::set<std::thread::id>> threads(3);
  StageOptions options = with_threads(3);
  std::atomic<int> started = 0;
  options.on_thread_start = [&] { ++started; };
  run_stage(
      {}, units(),
      [&](std::int64_t unit, int worker) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(started, 3);
        threads.at(worker).insert(std::this_thread::get_id());
        return compute(unit, worker);
      },
      options);
  for (const auto& ids : threads) EXPECT_LE(ids.size(), 1U);
  EXPECT_FALSE(threads[0].contains(std::this_thread::get_id()));
}

TEST(Stage, ReportsAThreadThatCannotStart) {
  StageOptions options = with_threads(2);
  std::atomic<int> started = 0;
  options.on_thread_start = [&] {
    if (++started == 2) throw RuntimeFailure("no card");
  };
  EXPECT_THROW(run_stage({}, units(), compute, options), RuntimeFailure);
  EXPECT_THROW(run_stage({}, units(), compute, with_threads(0)), ContractViolation);
}

TEST(Stage, TriesAFailedUnitAgain) {
  std::atomic<int> failures = 0;
  const StageResult result = run_stage(
      {}, units(),
      [&](std::int64_t unit, int worker) {
        if (unit == 40 && failures++ == 0) throw std::runtime_error("once");
        return compute(unit, worker);
      },
      with_threads(2));
  expect_results(result, everywhere);
  EXPECT_EQ(failures, 2);  // the second time counts too, but does not throw
  EXPECT_FALSE(result.any_failed);
}

TEST(Stage, RecordsWhatFailsAndGoesOn) {
  const auto bad = [](std::int64_t unit) { return unit == 3 || unit == 70 || unit == 103; };  // 70: all of lane 1
  const StageResult result = run_stage(
      {}, units(),
      [&](std::int64_t unit, int worker) {
        if (unit == 103) throw 42;
        if (bad(unit)) throw std::runtime_error("unit " + std::to_string(unit));
        return compute(unit, worker);
      },
      with_threads(2));
  expect_results(result, [&](std::int64_t unit) { return !bad(unit); });
  ASSERT_EQ(result.failed.size(), 3U);
  EXPECT_EQ(result.failed[0].unit, 3);
  EXPECT_EQ(result.failed[0].text, "unit 3");
  EXPECT_EQ(result.failed[1].unit, 70);
  EXPECT_THAT(result.failed[2].text, HasSubstr("no std::exception"));
  EXPECT_THAT(result.sums[1], IsEmpty());
  EXPECT_TRUE(result.any_failed);
  EXPECT_FALSE(result.stopped);
}

TEST(Stage, TakesUnitsWithoutSums) {
  const auto rows_only = [](std::int64_t unit, int) { return UnitResult{{}, {static_cast<double>(unit)}}; };
  const StageResult result = run_stage({}, testing::make_units({3}), rows_only, with_threads(1));
  EXPECT_FALSE(result.any_failed);
  EXPECT_THAT(result.sums, ::testing::ElementsAre(IsEmpty()));
  EXPECT_EQ(result.rows, (std::vector<std::vector<double>>{{0}, {1}, {2}}));
}

TEST(Stage, StopsBetweenUnits) {
  StopFlag stop;
  StageOptions options = with_threads(2);
  options.stop = &stop;
  std::atomic<int> computed = 0;
  const StageResult result = run_stage(
      {}, units(),
      [&](std::int64_t unit, int worker) {
        if (++computed == 60) stop.request(SIGTERM);
        return compute(unit, worker);
      },
      options);
  EXPECT_TRUE(result.stopped);
  EXPECT_FALSE(result.any_failed);
  EXPECT_GE(computed, 60);
  EXPECT_EQ(stop.signal_number(), SIGTERM);
  for (const std::vector<double>& rows : result.rows) EXPECT_TRUE(rows.empty() || rows.size() == 2);
}

TEST(Stage, TakesStoppedForAStopAndNotForAFailure) {
  StopFlag stop;
  StageOptions options = with_threads(1);
  options.stop = &stop;
  const StageResult result = run_stage(
      {}, units(),
      [&](std::int64_t unit, int worker) {
        if (unit == 100) throw Stopped();
        return compute(unit, worker);
      },
      options);
  EXPECT_TRUE(result.stopped);
  EXPECT_THAT(result.failed, IsEmpty());
  EXPECT_TRUE(stop.requested()) << "the other units shall know";
  EXPECT_THAT(result.rows[100], IsEmpty());
}

TEST(Stage, DoesNothingWhenStoppedBefore) {
  StopFlag stop;
  stop.request();
  StageOptions options = with_threads(2);
  options.stop = &stop;
  const StageResult result = run_stage(
      {}, units(),
      [](std::int64_t, int) -> UnitResult {
        ADD_FAILURE() << "computed after a stop";
        return {};
      },
      options);
  EXPECT_TRUE(result.stopped);
  EXPECT_THAT(result.sums, Each(IsEmpty()));
}

TEST(Stage, GoesOnFromAJournal) {
  for (const int stop_after : {1, 50, 150, 231}) {
    std::vector<std::vector<std::byte>> journal;
    StopFlag stop;
    StageOptions options = with_threads(2);
    options.stop = &stop;
    std::mutex writing;
    options.write = [&](const BlockResult& result) {
      const std::lock_guard guard(writing);
      journal.push_back(encode(result));
    };
    std::vector<std::atomic<int>> computed(units().size());
    std::atomic<int> total = 0;
    const auto count = [&](std::int64_t unit, int worker) {
      ++computed[unit];
      if (++total == stop_after) stop.request();
      return compute(unit, worker);
    };
    run_stage({}, units(), count, options);

    StageOptions again = with_threads(3);
    again.order = Order::Shuffled;
    again.restore = [&journal]() -> std::optional<BlockResult> {
      if (journal.empty()) return std::nullopt;
      const std::vector<std::byte> bytes = std::move(journal.back());
      journal.pop_back();
      return decode_block_result(bytes);
    };
    std::int64_t restored = 0;
    again.on_progress = [&](const Progress& progress) { restored = progress.restored; };
    const StageResult result = run_stage({}, units(), count, again);
    expect_results(result, everywhere);
    EXPECT_FALSE(result.stopped);
    EXPECT_GE(restored, stop_after);
    for (const std::atomic<int>& times : computed) EXPECT_EQ(times, 1);
  }
}

TEST(Stage, EndsWhenTheJournalFails) {
  StageOptions options = with_threads(2);
  options.write = [](const BlockResult&) { throw RuntimeFailure("disk full"); };
  EXPECT_THROW(run_stage({}, units(), compute, options), RuntimeFailure);
}

TEST(Stage, RefusesAJournalOfAnotherStage) {
  StageOptions options = with_threads(1);
  options.restore = []() -> std::optional<BlockResult> {
    BlockResult result;
    result.nodes.push_back({9, 0, 0, {1.0}});
    return result;
  };
  EXPECT_THROW(run_stage({}, units(), compute, options), ContractViolation);
}

TEST(Stage, ReportsProgressToTheEnd) {
  StageOptions options = with_threads(2);
  std::vector<Progress> seen;
  options.on_progress = [&](const Progress& progress) { seen.push_back(progress); };
  run_stage(
      {}, units(),
      [](std::int64_t unit, int worker) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        if (unit == 5) throw std::runtime_error("bad");
        return compute(unit, worker);
      },
      options);
  ASSERT_GE(seen.size(), 3U);
  EXPECT_EQ(seen.front().done, 0);
  EXPECT_EQ(seen.back().total, 232);
  EXPECT_EQ(seen.back().done, 231);
  EXPECT_EQ(seen.back().failed, 1);
  EXPECT_DOUBLE_EQ(seen.back().cost_done, seen.back().cost_total - units()[5].cost);
  EXPECT_EQ(seen.back().stage, "test");
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end(), [](auto& a, auto& b) { return a.done < b.done; }));
}

}  // namespace
}  // namespace tributary
