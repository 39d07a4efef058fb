// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How long a plan will take, before it runs: what this machine does in a moment, times the work, on simulated ranks.
// For cards, which may not be here, a speed is assumed.
#pragma once

#include "runner/job/plan.h"

namespace tributary {

/// Floating-point operations in a second that a card is taken to reach on calls of a usual size: an assumption.
inline constexpr double card_operations = 5e12;

struct Estimate {
  double seconds = 0;           //!< of the stages one after another
  double efficiency = 1;        //!< computing by all worker threads' time
  double bytes_per_second = 0;  //!< into rank 0, of its busiest stage
  double peak_bytes = 0;        //!< of partial sums on rank 0
  double longest_run = 0;       //!< seconds, of the runs each by itself

  /// Another group's, which is computed after this one.
  void add(const Estimate& other);
};

/// Of a group of runs on `ranks` ranks of `threads` worker threads.
Estimate estimate(const RunGroup& runs, int ranks, int threads);

}  // namespace tributary
