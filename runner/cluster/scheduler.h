// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Decides which units go where: dearest first, in aligned blocks that shrink towards the end, failed
// units again on another rank. Pure: knows no MPI, no threads and no clock (durations are passed in),
// so tests can drive it through any order of events.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "runner/cluster/rank_health.h"
#include "runner/cluster/units.h"

namespace tributary {

enum class Order {
  Planned,   //!< dearest units first, big blocks first
  Shuffled,  //!< a seeded permutation with random block sizes; a test switch, results keep their bits
};

/// Why a rank asks for a block.
enum class Demand {
  Idle,      //!< a worker has nothing to do
  Prefetch,  //!< to hide the round trip; refused when the rest is needed for idle workers
};

struct SchedulerOptions {
  int ranks = 1;
  std::int64_t workers = 1;  //!< worker threads of all ranks together
  Order order = Order::Planned;
  std::uint64_t seed = 0;               //!< for Order::Shuffled
  std::vector<std::int64_t> at_once{};  //!< by lane: units that are computed at once, a power of two; empty: 1
  std::vector<int> nodes{};             //!< by rank, equal for ranks of one machine; empty: each has its own
  /// Longest block in seconds, so a kill loses little. Until a rank's speed is known it gets single
  /// units, or as many as are computed at once. Infinity: block sizes follow the number of workers alone.
  double block_seconds = std::numeric_limits<double>::infinity();
};

class Scheduler {
 public:
  /// The table must outlive the scheduler.
  Scheduler(const UnitTable& table, const SchedulerOptions& options);

  /// Units known from an earlier start. Only before the first next().
  void mark_done(std::int64_t lane, std::int64_t first, std::int64_t last);

  /// A block for `rank`, or nothing: all handed out, stopped, or what is left must run elsewhere.
  std::optional<Block> next(int rank, Demand demand = Demand::Idle);

  /// Takes back a block that next() gave to `rank`. Failed units are queued again or given up; units
  /// left unstarted are pending again. Returns the units given up for good: those that wait for another attempt as
  /// well once hopeless().
  std::vector<FailedUnit> finish(int rank, const BlockResult& result);

  /// A rank that the last finish() has benched: it gets nothing more (rank_health.h).
  [[nodiscard]] std::optional<int> newly_benched() const { return newly_benched_; }
  /// Every rank is benched: nothing more is handed out, though units may be left.
  [[nodiscard]] bool hopeless() const { return hopeless_; }

  /// Hands out nothing from now on.
  void stop() { stopped_ = true; }

  /// True when no block is out and none will be handed out any more.
  [[nodiscard]] bool finished() const;

  [[nodiscard]] bool any_waits_for_another_attempt() const { return !retries_.empty(); }
  [[nodiscard]] std::int64_t units_left() const { return units_left_; }  //!< not done, not given up
  [[nodiscard]] std::int64_t blocks_out() const { return static_cast<std::int64_t>(out_.size()); }

 private:
  /// A free aligned run of units, to be handed out whole or split.
  struct Run {
    std::int64_t lane = 0;
    std::int64_t first = 0;
    std::int64_t count = 0;
    double cost = 0;      //!< of all its units
    double priority = 0;  //!< highest goes first; ties by lane and place, which keeps the fold small
  };
  struct GoesFirst {
    bool operator()(const Run& a, const Run& b) const;
  };
  struct Handed {
    int rank = 0;
    Block block;
  };

  void free_pending_units();
  void free_run(std::int64_t lane, std::int64_t first, std::int64_t count);
  void free_aligned(std::int64_t lane, std::int64_t first, std::int64_t span, const std::vector<bool>& done);
  [[nodiscard]] std::int64_t at_once(std::int64_t lane) const;
  [[nodiscard]] bool fits(const Run& run, int rank) const;
  [[nodiscard]] std::uint64_t hash(const Run& run) const;
  std::optional<Block> next_retry(int rank);
  void judge(int rank, const Block& block, const BlockResult& result);
  Block hand_out(int rank, std::int64_t lane, std::int64_t first, std::int64_t count);
  [[nodiscard]] double computed_cost(const Block& block, const BlockResult& result) const;

  const UnitTable& table_;
  SchedulerOptions options_;
  std::int64_t largest_block_;                  // units
  std::vector<std::vector<bool>> done_before_;  // by lane; emptied once work is handed out
  std::set<Run, GoesFirst> free_;
  std::int64_t free_units_ = 0;
  double free_cost_ = 0;
  std::vector<FailedUnit> retries_;     // units that failed and may be tried again
  std::map<std::int64_t, Handed> out_;  // by block id
  RankHealth health_;
  std::int64_t next_id_ = 0;
  std::int64_t units_left_;
  bool started_ = false;
  std::optional<int> newly_benched_;
  bool stopped_ = false;
  bool hopeless_ = false;
};

}  // namespace tributary
