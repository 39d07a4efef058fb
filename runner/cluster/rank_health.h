// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How the ranks get on: how fast each computes, and which units each has failed. The scheduler asks before it hands
// out.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace tributary {

class RankHealth {
 public:
  explicit RankHealth(int ranks);

  /// A rank has spent `seconds` on units of this cost, which went well.
  void computed(int rank, double cost, double seconds);
  /// Seconds that a rank needs for a unit of cost 1; 0 while unknown.
  [[nodiscard]] double seconds_per_cost(int rank) const;

  /// A rank has failed a unit. False when that was the last attempt that the unit has.
  bool may_try_again(int rank, std::int64_t unit);
  /// Whether a rank may compute a unit that has failed before: another rank shall try it as long as there is one that
  /// has not, and the one that failed it last shall not be the next.
  [[nodiscard]] bool may_compute(int rank, std::int64_t unit) const;

 private:
  [[nodiscard]] int ranks() const { return static_cast<int>(seconds_per_cost_.size()); }

  std::vector<double> seconds_per_cost_;
  std::map<std::int64_t, std::vector<int>> failed_on_;  // by unit: the ranks, in order
};

}  // namespace tributary
