// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far a stage is, as plain numbers, and how fast it goes. Knows no clock and no stream.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace tributary {

/// What a rank has in hand: of its oldest block, and how long ago it last said anything.
struct RankActivity {
  int rank = 0;
  std::int64_t lane = 0, first = 0, count = 0;
  double silent = 0;  //!< seconds
};

/// A stage's state. Costs weigh units, so the time left is right when dear units come first.
struct Progress {
  std::string stage;
  std::int64_t done = 0;      //!< units computed, those restored from a journal included
  std::int64_t restored = 0;  //!< units that were done before the stage began
  std::int64_t failed = 0;    //!< units given up
  std::int64_t total = 0;
  double cost_done = 0;
  double cost_total = 0;
  std::vector<RankActivity> busy;  //!< ranks that have work, in their order
};

/// Speed between the moments at which units were finished, over the later half of the time since the first call (or the
/// last half minute): units that come in bursts, one from every worker, need some bursts before their number says
/// anything. A silence that is longer than any between units counts as time, so that a stage that hangs slows down.
class RateMeter {
 public:
  /// How many units are done by now, and what they cost. The first call says what was done before.
  void add(double seconds, double units, double cost);
  [[nodiscard]] double units_per_second() const;  //!< 0 while nothing has been finished
  [[nodiscard]] double cost_per_second() const;   //!< 0 while nothing has been finished

 private:
  struct Sample {
    double seconds, units, cost;
  };
  [[nodiscard]] double seconds_taken() const;

  std::deque<Sample> samples_;  // the first call's, or the last one before the window; then a unit or more was finished
  double first_ = 0, now_ = 0;  // seconds
};

}  // namespace tributary
