// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What rank 0 knows of every rank in a stage: what it has in hand, what it has given back, and when it was last heard
// of. Sends nothing and decides nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "runner/cluster/progress.h"
#include "runner/cluster/scheduler.h"
#include "runner/cluster/units.h"

namespace tributary::detail {

class RankBook {
 public:
  explicit RankBook(const std::vector<std::int64_t>& threads_by_rank);

  [[nodiscard]] int ranks() const { return static_cast<int>(ranks_.size()); }

  /// Whether a rank has room for one block more. Blocks given and blocks returned say how many of its workers are idle.
  [[nodiscard]] bool has_room(int rank, Demand demand) const;
  void give(int rank, const Block& block);
  void take_back(int rank, std::int64_t block);
  [[nodiscard]] bool any_has_work() const;

  /// A rank has given a sign of life.
  void hear(int rank);
  /// A block that came back had computed so much.
  void add_returned(int rank, const Amount& amount);
  /// What a rank has computed by its own account, blocks in flight included.
  void set_computed(int rank, const Amount& amount);
  /// What all ranks together have computed.
  [[nodiscard]] Amount computed() const;

  /// Ranks that have work, in their order.
  [[nodiscard]] std::vector<RankActivity> busy() const;
  /// Those that have been silent for so many seconds; each once for the block that is its oldest.
  [[nodiscard]] std::vector<RankActivity> newly_silent(double seconds);

 private:
  using Clock = std::chrono::steady_clock;

  struct Rank {
    std::int64_t threads = 0;
    std::map<std::int64_t, Block> held{};    // by id, so the oldest is first
    Clock::time_point heard = Clock::now();  // given work after having none, or heard of
    std::int64_t warned = -1;                // the block that a warning was given about
    Amount returned{}, computed{};
  };
  std::vector<Rank> ranks_;
};

}  // namespace tributary::detail
