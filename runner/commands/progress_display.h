// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far a stage is, for people: on a terminal as one line that redraws itself, in a log as a line now and then.
// Time and stream are passed in; only rank 0 owns one.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "runner/cluster/progress.h"

namespace tributary {

enum class ProgressStyle {
  Silent,
  Bar,    //!< one line, redrawn up to ten times a second, wiped at the end
  Lines,  //!< a plain line after 2 s, then every 5 s, less often as the stage gets old
};

/// Bar when `file_descriptor` is a terminal, otherwise Lines.
ProgressStyle progress_style_for(int file_descriptor);

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
  [[nodiscard]] std::string describe(const Progress& progress, double now) const;

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

}  // namespace tributary
