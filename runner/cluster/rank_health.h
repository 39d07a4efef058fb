// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How the ranks get on: how fast each computes, and what each has failed. The scheduler asks before it hands out. A
// rank that fails one block after the other gets nothing more (it is benched), and what it has failed says nothing of
// the units: it is the machine there that is broken, and it would otherwise use up the attempts of every unit, because
// whoever fails at once is the first to ask again.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace tributary {

/// Blocks in a row that end with a failure, with no unit that went well between the ends, after which a rank is
/// benched.
inline constexpr int blocks_until_benched = 5;

class RankHealth {
 public:
  /// nodes: by rank, equal for ranks that share a machine; empty: each has its own.
  explicit RankHealth(int ranks, std::vector<int> nodes = {});

  /// A rank has spent `seconds` on units of this cost, which went well.
  void computed(int rank, double cost, double seconds);
  /// Seconds that a rank needs for a unit of cost 1; 0 while unknown.
  [[nodiscard]] double seconds_per_cost(int rank) const;

  /// A rank has given back a block of which some unit went well.
  void went_well(int rank);
  /// A rank has given back a block of which the last unit failed. True when that makes it a benched one.
  bool went_wrong(int rank);
  [[nodiscard]] bool benched(int rank) const { return state(rank).benched; }
  [[nodiscard]] bool all_benched() const;

  /// A rank has failed a unit, after went_well or went_wrong. False when that was the last attempt that the unit has.
  bool may_try_again(int rank, std::int64_t unit);

  /// Whether there is other work: a unit's last attempt waits for a rank that has proved sound as long as there is.
  enum class Elsewhere { work, none };
  /// Whether a rank may compute a unit that has failed before: one on another machine shall try it as long as there is
  /// one, then another rank, and the one that failed it last shall not be the next.
  [[nodiscard]] bool may_compute(int rank, std::int64_t unit, Elsewhere elsewhere) const;

 private:
  struct Rank {
    int node = 0;
    double seconds_per_cost = 0;  // 0: unknown
    int wrong_in_a_row = 0;       // blocks
    bool proved = false;          // something went well, and nothing has gone wrong since
    bool benched = false;
  };

  [[nodiscard]] const Rank& state(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] Rank& state(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] std::size_t attempts() const;
  template <typename Holds>
  [[nodiscard]] bool some_computes(const Holds& holds) const;
  /// Whether no rank that still computes fits better: of those that do, some has not failed on this machine, …
  [[nodiscard]] bool fits_best(int rank, const std::vector<int>& failed_on) const;

  std::vector<Rank> ranks_;
  std::map<std::int64_t, std::vector<int>> failed_on_;  // by unit: the ranks that are not benched, in order
};

}  // namespace tributary
