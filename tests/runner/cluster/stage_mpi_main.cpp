// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Stages over real ranks; start it with mpirun at any number of them. Every rank runs every test, the
// expected bytes are written down without any ranks, so all rank counts must agree with them and each other.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "common/errors.h"
#include "runner/cluster/comm.h"
#include "runner/cluster/messages.h"
#include "runner/cluster/stage.h"
#include "tests/runner/cluster/stage_cases.h"

namespace tributary {
namespace {

using ::testing::Contains;
using testing::digest;
using ::testing::Each;
using testing::everywhere;
using testing::expected_rows;
using testing::expected_sums;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::make_result;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

class OverRanks : public ::testing::Test {
 public:
  static inline Communicator comm;  // NOLINT: set once by main, GoogleTest constructs the fixtures

 protected:
  [[nodiscard]] bool is_root() const { return comm.rank() == 0; }
  [[nodiscard]] int last_rank() const { return comm.size() - 1; }

  void expect_results(const StageResult& result, const testing::Present& present) const {
    if (is_root()) {
      EXPECT_EQ(digest(result.sums), digest(expected_sums(units_, present)));
      EXPECT_EQ(digest(result.rows), digest(expected_rows(units_, present)));
    } else {
      EXPECT_THAT(result.sums, IsEmpty());
    }
  }

  const std::vector<UnitSpec> units_ = testing::make_units({70, 1, 33, 128});
  const ComputeUnit compute_ = [this](std::int64_t unit, int) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // time enough for all ranks to take part
    return make_result(units_[unit], unit);
  };
};

StageOptions with_threads(int threads) {
  StageOptions options;
  options.name = "test";
  options.threads = threads;
  return options;
}

TEST_F(OverRanks, KnowWhereTheyAre) {
  EXPECT_GE(comm.local_rank(), 0);
  EXPECT_LT(comm.local_rank(), comm.local_size());
  EXPECT_LE(comm.local_size(), comm.size());
  const std::vector<std::int64_t> ranks = comm.gather(std::int64_t{comm.rank()});
  ASSERT_EQ(std::ssize(ranks), is_root() ? comm.size() : 0);
  for (int rank = 0; rank < std::ssize(ranks); ++rank) EXPECT_EQ(ranks[rank], rank);
}

TEST_F(OverRanks, Broadcast) {
  std::vector<double> numbers(is_root() ? 3 : 7, is_root() ? 0.5 : 9.0);
  comm.broadcast(numbers);
  EXPECT_EQ(numbers, (std::vector<double>{0.5, 0.5, 0.5}));
  std::string text = is_root() ? "from rank 0" : "";
  comm.broadcast(text);
  EXPECT_EQ(text, "from rank 0");
  std::vector<std::int64_t> none(is_root() ? 0 : 4);
  comm.broadcast(none);
  EXPECT_THAT(none, IsEmpty());
  std::vector<float> many(is_root() ? 12'500'000 : 0);  // 50 MB
  if (is_root()) std::iota(many.begin(), many.end(), 0.0F);
  comm.broadcast(many);
  ASSERT_EQ(many.size(), 12'500'000U);
  EXPECT_EQ(many.at(12'345'678), 12'345'678.0F);
}

TEST_F(OverRanks, Agree) {
  EXPECT_TRUE(comm.agree(true));
  for (int dissenter = 0; dissenter < comm.size(); ++dissenter) EXPECT_FALSE(comm.agree(comm.rank() != dissenter));
}

TEST_F(OverRanks, GatherTexts) {
  const std::vector<std::string> texts = comm.gather(std::string(static_cast<std::size_t>(comm.rank()) * 3, 'x'));
  ASSERT_EQ(std::ssize(texts), is_root() ? comm.size() : 0);
  for (std::size_t rank = 0; rank < texts.size(); ++rank) EXPECT_EQ(texts[rank], std::string(rank * 3, 'x'));
}

TEST_F(OverRanks, SendMessagesInPieces) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  Mailbox mailbox(comm, 10'007);
  // Around the size that still travels with the header, and 50 MB.
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{49'135}, std::size_t{49'136},
                                 std::size_t{49'137}, std::size_t{300'000}, std::size_t{50'000'000}}) {
    const auto byte_at = [size](std::size_t i) { return static_cast<std::byte>((i * 31 + size) % 251); };
    if (comm.rank() == last_rank()) {
      std::vector<std::byte> payload(size);
      for (std::size_t i = 0; i < size; ++i) payload[i] = byte_at(i);
      mailbox.send(0, MessageKind::Result, payload);
    }
    if (is_root()) {
      std::optional<Message> message;
      wait_until([&] { return (message = mailbox.poll()).has_value(); });
      EXPECT_EQ(message->source, last_rank());
      EXPECT_EQ(message->kind, MessageKind::Result);
      ASSERT_EQ(message->payload.size(), size);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < size; ++i) wrong += message->payload[i] != byte_at(i) ? 1 : 0;
      EXPECT_EQ(wrong, 0U) << size << " bytes";
    }
  }
  comm.barrier();
}

/// A small message that follows a large one arrives after it, however long the large one takes.
TEST_F(OverRanks, KeepTheOrderOfMessages) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  constexpr std::int64_t kRounds = 5;
  const std::vector<std::size_t> sizes = {3'000'000, 10, 700'000, 0};
  Mailbox mailbox(comm, 10'007);
  if (!is_root()) {
    for (std::int64_t i = 0; i < kRounds * std::ssize(sizes); ++i) {
      mailbox.send(0, MessageKind::Tick, std::vector<std::byte>(sizes[i % sizes.size()], std::byte(comm.rank())));
    }
  } else {
    std::vector<std::int64_t> received(comm.size());
    std::int64_t awaited = kRounds * std::ssize(sizes) * last_rank();
    comm.wait([&] {
      while (const std::optional<Message> message = mailbox.poll()) {
        --awaited;
        EXPECT_EQ(message->payload.size(), sizes[received.at(message->source)++ % sizes.size()]);
        EXPECT_THAT(message->payload, Each(std::byte(message->source)));
      }
      return awaited == 0;
    });
  }
  comm.barrier();
}

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
  options.keep = [](const BlockResult&) { throw RuntimeFailure("disk full"); };
  EXPECT_THROW(run_stage(comm, units_, compute_, options), RuntimeFailure);
  expect_results(run_stage(comm, units_, compute_, with_threads(1)), everywhere);
}

TEST_F(OverRanks, EndTogetherWhenOneRankCannotStore) {
  StageOptions options = with_threads(1);
  options.keep = [&](const BlockResult&) {
    if (comm.rank() == last_rank()) throw RuntimeFailure("disk full");
  };
  EXPECT_THROW(run_stage(comm, units_, compute_, options), RuntimeFailure);
  expect_results(run_stage(comm, units_, compute_, with_threads(1)), everywhere);
}

TEST_F(OverRanks, NameARankThatSaysNothing) {
  StageOptions options = with_threads(1);
  options.silence = 0.3;
  std::vector<std::string> warnings;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  run_stage(
      comm, testing::make_units({std::int64_t{6} * comm.size()}),
      [&](std::int64_t unit, int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(unit == 0 ? 900 : 1));
        return UnitResult{{1.0}, {}};
      },
      options);
  if (!is_root()) return;
  EXPECT_THAT(warnings, Contains(HasSubstr("unit 0 of stage 'test'")).Times(1));  // a busy machine may add others
}

TEST_F(OverRanks, TellRankZeroOfTrouble) {
  if (comm.size() < 2) GTEST_SKIP() << "needs two ranks";
  // A barrier, or the end of the test before would hear it. The last rank may leave it before rank 0 does, which then
  // hears of the trouble in there.
  if (is_root()) {
    const auto wait_for_ever = [&] {
      comm.barrier();
      comm.wait([] { return false; });
    };
    EXPECT_THAT(wait_for_ever, ThrowsMessage<RankFailed>(StrEq("no memory")));
  } else {
    comm.barrier();
    if (comm.rank() == last_rank()) comm.report_trouble("no memory");
  }
  comm.barrier();
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
  options.keep = [&](const BlockResult&) { ++blocks; };
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

/// What ranks other than 0 say: their failures, and nothing else.
class FailurePrinter : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", OverRanks::comm.rank(), result.file_name(), result.line_number(),
                 result.message());
  }
};

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const tributary::ScopedMpi mpi;
  tributary::OverRanks::comm = mpi.world();
  if (mpi.world().rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new tributary::FailurePrinter);
  }
  const bool passed = RUN_ALL_TESTS() == 0;
  return mpi.world().agree(passed) ? 0 : 1;
}
