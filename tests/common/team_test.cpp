// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Loops that several threads share.
#include "common/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/errors.h"

namespace tributary::testing {
namespace {

TEST(Team, EveryPlaceIsVisitedOnce) {
  for (const int size : {1, 2, 3, 8}) {
    Team team(size);
    for (const std::int64_t count : {0, 1, 5, 64, 1000}) {
      for (const std::int64_t grain : {1, 7, 64}) {
        std::vector<int> visits(static_cast<std::size_t>(count), 0);  // pieces do not overlap: no lock
        team.share(count, grain, [&](std::int64_t first, std::int64_t end) {
          EXPECT_EQ(first % grain, 0);
          for (std::int64_t i = first; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        EXPECT_EQ(std::accumulate(visits.begin(), visits.end(), 0), count);
        for (const int visit : visits) EXPECT_EQ(visit, 1);
      }
    }
  }
}

TEST(Team, ThreadsTakeAPieceEach) {
  Team team(4);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  team.share(4, 1, [&](std::int64_t first, std::int64_t end) {
    EXPECT_EQ(end, first + 1);
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(seen.size(), 4U);
}

TEST(Team, ManyLoopsInARow) {
  Team team(3);
  std::atomic<std::int64_t> sum = 0;
  for (int i = 0; i < 20000; ++i) {
    team.share(3, 1, [&](std::int64_t first, std::int64_t) { sum += first; });
  }
  EXPECT_EQ(sum, 20000 * 3);
}

TEST(Team, WhatAPieceThrowsIsThrownAndTheTeamGoesOn) {
  Team team(3);
  for (const std::int64_t bad : {0, 1, 2}) {
    EXPECT_THROW(team.share(3, 1,
                            [&](std::int64_t first, std::int64_t) {
                              if (first == bad) throw std::runtime_error("a piece");
                            }),
                 std::runtime_error);
    std::atomic<int> pieces = 0;
    team.share(3, 1, [&](std::int64_t, std::int64_t) { ++pieces; });
    EXPECT_EQ(pieces, 3);
  }
}

TEST(Team, ALoopIsSharedWithTheThreadsOwnTeamAlone) {
  const auto pieces_of = [] {
    std::atomic<int> pieces = 0;
    share_loop(10, 1, [&](std::int64_t, std::int64_t) { ++pieces; });
    return pieces.load();
  };
  EXPECT_EQ(pieces_of(), 1);
  {
    const Team team(5);
    EXPECT_EQ(pieces_of(), 5);
    int elsewhere = 0;
    std::thread([&] { elsewhere = pieces_of(); }).join();
    EXPECT_EQ(elsewhere, 1);
    EXPECT_THROW(Team(2), ContractViolation);
  }
  EXPECT_EQ(pieces_of(), 1);
}

}  // namespace
}  // namespace tributary::testing
