// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far a stage is, on a terminal as one line that redraws itself, in a log as a line now and then.
// Time and stream are passed in; only rank 0 owns one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <iosfwd>
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

enum class ProgressStyle {
  Silent,
  Bar,    //!< one line, redrawn up to ten times a second, wiped at the end
  Lines,  //!< a plain line after 2 s, then every 5 s, less often as the stage gets old
};

/// Bar when `file_descriptor` is a terminal, otherwise Lines.
ProgressStyle progress_style_for(int file_descriptor);

/// Speed over the last half minute or so, so a change of pace shows soon but single blocks do not.
class RateMeter {
 public:
  void add(double seconds, double units, double cost);
  [[nodiscard]] double units_per_second() const;  //!< 0 while unknown
  [[nodiscard]] double cost_per_second() const;   //!< 0 while unknown

 private:
  struct Sample {
    double seconds, units, cost;
  };
  std::deque<Sample> samples_;
};

class ProgressDisplay {
 public:
  using Clock = std::function<double()>;  //!< seconds, never going back

  ProgressDisplay(std::ostream& out, ProgressStyle style, Clock clock = {});  //!< no clock: steady_clock
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  /// Shows the state if it is time to. A new stage name starts afresh.
  void update(const Progress& progress);

  /// Wipes the bar; to be called before anything else is written to the same terminal.
  void clear();

 private:
  void begin(const Progress& progress, double now);
  [[nodiscard]] std::string describe(const Progress& progress) const;

  std::ostream& out_;
  ProgressStyle style_;
  Clock clock_;
  std::string stage_;
  RateMeter rate_;
  double started_ = 0;
  double next_ = 0;
  bool begun_ = false;
  bool drawn_ = false;
};

/// "1:02:03", "4:05", "0:07"; "?" when not finite.
std::string format_duration(double seconds);

}  // namespace tributary
