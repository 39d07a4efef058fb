// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Real ranks find each other, and what one sends arrives whole and in order at the other.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "runner/cluster/comm.h"
#include "runner/cluster/messages.h"
#include "tests/runner/cluster/over_ranks.h"

namespace tributary {
namespace {

using ::testing::IsEmpty;
using testing::OverRanks;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

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
  // Around the size that still travels with the header, and 8 MB.
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{49'135}, std::size_t{49'136},
                                 std::size_t{49'137}, std::size_t{300'000}, std::size_t{8'000'000}}) {
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
        EXPECT_EQ(std::ranges::count(message->payload, std::byte(message->source)), std::ssize(message->payload));
      }
      return awaited == 0;
    });
  }
  comm.barrier();
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

}  // namespace
}  // namespace tributary
