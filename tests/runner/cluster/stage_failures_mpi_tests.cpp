// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A stage over real ranks of which one fails, stops or falls silent: all of them end the same way.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/errors.h"
#include "runner/cluster/rank_health.h"
#include "runner/cluster/stage.h"
#include "runner/cluster/stopping.h"
#include "runner/cluster/units.h"
#include "tests/runner/cluster/over_ranks.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using ::testing::Contains;
using ::testing::Each;
using testing::everywhere;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::make_result;
using testing::OverRanks;
using testing::with_threads;

TEST_F(OverRanks, RetryOnAnotherRank) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  std::atomic<std::int64_t> thrown = 0;
  const StageResult result = run_stage(
      comm, units_,
      [&](std::int64_t unit, int worker) {
        if (comm.rank() == 1) {
          ++thrown;
          throw std::runtime_error("rank 1 cannot");
        }
        return compute_(unit, worker);
      },
      with_threads(1));
  expect_results(result, everywhere);
  EXPECT_FALSE(result.any_failed);
  EXPECT_EQ(thrown > 0, comm.rank() == 1);
}

TEST_F(OverRanks, RecordWhatFailsEverywhere) {
  const auto bad = [](std::int64_t unit) { return unit % 50 == 20; };
  const StageResult result = run_stage(
      comm, units_,
      [&](std::int64_t unit, int worker) {
        if (unit == 70) throw "a text";  // NOLINT: anything may be thrown
        if (bad(unit)) throw std::runtime_error("bad unit");
        return compute_(unit, worker);
      },
      with_threads(2));
  expect_results(result, [&](std::int64_t unit) { return !bad(unit); });
  EXPECT_TRUE(result.any_failed);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.failed.size(), is_root() ? 5U : 0U);
}

TEST_F(OverRanks, StopTogetherOnASignalOfOne) {
  StopFlag stop;
  const ScopedSignalHandler handler(stop);
  StageOptions options = with_threads(1);
  options.stop = &stop;
  std::atomic<int> mine = 0;
  const auto slow = [&](std::int64_t unit, int) {
    if (++mine == 3 && comm.rank() == last_rank()) std::raise(SIGUSR1);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return make_result(units_[unit], unit);
  };
  const StageResult result = run_stage(comm, units_, slow, options);
  EXPECT_TRUE(result.stopped);
  EXPECT_FALSE(result.any_failed);
  EXPECT_TRUE(stop.requested());
  EXPECT_EQ(stop.signal_number(), comm.rank() == last_rank() ? SIGUSR1 : 0);
  const std::vector<std::int64_t> computed = comm.gather(static_cast<std::int64_t>(mine));
  EXPECT_LT(std::accumulate(computed.begin(), computed.end(), std::int64_t{0}), std::ssize(units_));
  const StageResult next = run_stage(comm, units_, slow, options);
  EXPECT_TRUE(next.stopped);
  EXPECT_THAT(next.sums, Each(IsEmpty()));
}

TEST_F(OverRanks, PassAStopOfAnIdleRankToAUnitThatPolls) {
  StopFlag stop;
  StageOptions options = with_threads(1);
  options.stop = &stop;
  std::thread impatient([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (comm.rank() == last_rank()) stop.request(SIGTERM);
  });
  const auto poll = [&](std::int64_t, int) -> UnitResult {
    for (int polls = 0; polls < 2000 && !stop.requested(); ++polls) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (stop.requested()) throw Stopped();
    return {};
  };
  const StageResult result = run_stage(comm, testing::make_units({1}), poll, options);
  impatient.join();
  EXPECT_TRUE(result.stopped);
}

TEST_F(OverRanks, TakeStoppedForAStop) {
  const StageResult result = run_stage(
      comm, units_,
      [&](std::int64_t unit, int worker) -> UnitResult {
        if (comm.rank() == last_rank()) throw Stopped();
        return compute_(unit, worker);
      },
      with_threads(1));
  EXPECT_TRUE(result.stopped);
  EXPECT_FALSE(result.any_failed);
}

TEST_F(OverRanks, EndTogetherWhenABlockCannotBeStored) {
  StageOptions options = with_threads(1);
  options.write = [](const BlockResult&) { throw RuntimeFailure("disk full"); };
  EXPECT_THROW(run_stage(comm, units_, compute_, options), RuntimeFailure);
  expect_results(run_stage(comm, units_, compute_, with_threads(1)), everywhere);
}

TEST_F(OverRanks, DoWithoutARankThatCannotStore) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  StageOptions options = with_threads(1);
  std::atomic<std::int64_t> refused = 0;
  options.write = [&](const BlockResult&) {
    if (comm.rank() != last_rank()) return;
    ++refused;
    throw RuntimeFailure("disk full");
  };
  const StageResult result = run_stage(comm, units_, compute_, options);
  expect_results(result, everywhere);
  EXPECT_FALSE(result.any_failed);
  EXPECT_EQ(refused > 0, comm.rank() == last_rank());
  EXPECT_LE(refused, blocks_until_benched + 1) << "one more may have been on its way";
}

/// Stops this process as a machine that hangs does; another one lets it go on after a while.
void hang_for(std::chrono::milliseconds time) {
  const pid_t waker = fork();
  if (waker == 0) {
    const timespec pause{time.count() / 1000, time.count() % 1000 * 1'000'000};
    nanosleep(&pause, nullptr);
    kill(getppid(), SIGCONT);
    _exit(0);
  }
  std::raise(SIGSTOP);
  waitpid(waker, nullptr, 0);
}

TEST_F(OverRanks, NameARankThatSaysNothing) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  StageOptions options = with_threads(1);
  options.silence = 0.5;
  options.hosts.assign(static_cast<std::size_t>(comm.size()), "a-host");
  std::vector<std::string> warnings;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  std::atomic<bool> hung = false;
  run_stage(
      comm, testing::make_units({std::int64_t{6} * comm.size()}),
      [&](std::int64_t, int) {
        if (comm.rank() == last_rank() && !hung.exchange(true)) hang_for(std::chrono::milliseconds(1500));
        return UnitResult{{1.0}, {}};
      },
      options);
  if (!is_root()) return;
  const std::string name = "rank " + std::to_string(last_rank()) + " on a-host has said nothing";
  EXPECT_THAT(warnings, Contains(HasSubstr(name)).Times(1));  // a busy machine may add others
}

TEST_F(OverRanks, NameNoRankThatIsBusyWithALongUnit) {
  StageOptions options = with_threads(1);
  options.silence = 1;
  std::vector<std::string> warnings;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  run_stage(
      comm, testing::make_units({comm.size()}),
      [](std::int64_t, int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2500));
        return UnitResult{{1.0}, {}};
      },
      options);
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(OverRanks, BenchRanksThatFailEverything) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  StageOptions options = with_threads(1);
  std::vector<std::string> warnings;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  std::atomic<std::int64_t> thrown = 0;
  const StageResult result = run_stage(
      comm, units_,
      [&](std::int64_t unit, int worker) {
        if (comm.rank() > 0) {
          ++thrown;
          throw std::runtime_error("no card");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return compute_(unit, worker);
      },
      options);
  expect_results(result, everywhere);
  EXPECT_FALSE(result.any_failed);
  EXPECT_LE(thrown, blocks_until_benched + 1) << "one more may have been on its way";
  const auto benched = std::count_if(warnings.begin(), warnings.end(), [](const std::string& text) {
    return text.find("nothing more of this stage") != std::string::npos;
  });
  EXPECT_EQ(benched, is_root() ? comm.size() - 1 : 0);
  EXPECT_EQ(warnings.size(), is_root() ? static_cast<std::size_t>(comm.size()) : 0U) << "and one of the first failure";
  EXPECT_THAT(warnings, Each(HasSubstr("no card")));
}

TEST_F(OverRanks, EndWithTheReasonWhereEveryRankFails) {
  StageOptions options = with_threads(1);
  const StageResult result = run_stage(
      comm, units_, [](std::int64_t, int) -> UnitResult { throw std::runtime_error("no card"); }, options);
  EXPECT_TRUE(result.any_failed);
  EXPECT_FALSE(result.stopped) << "which would be taken for one to go on after";
  if (!is_root()) return;
  ASSERT_FALSE(result.failed.empty());
  EXPECT_EQ(result.failed.front().text, "no card");
  EXPECT_LT(std::ssize(result.failed), std::ssize(units_)) << "not every unit was tried in vain";
}

TEST_F(OverRanks, EndTogetherWhenOneCannotStart) {
  StageOptions options = with_threads(1);
  options.on_thread_start = [&] {
    if (comm.rank() == last_rank()) throw std::domain_error("no card");
  };
  if (comm.rank() == last_rank()) {
    EXPECT_THROW(run_stage(comm, units_, compute_, options), std::domain_error);
  } else {
    EXPECT_THROW(run_stage(comm, units_, compute_, options), RuntimeFailure);
  }
}

TEST_F(OverRanks, RefuseDifferentPlans) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  std::vector<UnitSpec> units = units_;
  if (comm.rank() == last_rank()) units[5].cost += 1;
  EXPECT_THROW(run_stage(comm, units, compute_, with_threads(1)), ContractViolation);
}

}  // namespace
}  // namespace tributary
