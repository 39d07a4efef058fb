// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A stage on ranks that exist only as numbers: the real scheduler and the real fold, a clock that is a number, and what
// messages, disks and rank 0's own work cost. `tributary plan --ranks N` estimates with it.
#pragma once

#include <cstdint>
#include <vector>

#include "runner/cluster/units.h"

namespace tributary {

/// What a cluster costs. docs/cluster.md (Scale) states the defaults as its assumptions.
struct ClusterModel {
  int ranks = 1;
  int threads = 1;               //!< worker threads a rank
  double latency = 0.5e-3;       //!< seconds from a rank to rank 0's main thread, polling included
  double link = 1.25e9;          //!< bytes a second into rank 0 (10 Gbit/s)
  double handling = 30e-6;       //!< seconds of rank 0's main thread a message
  double fold = 1.0e9;           //!< bytes a second that rank 0 decodes and adds
  double journal_file = 5e-3;    //!< seconds a journalled block, on the rank that computed it
  double journal_bytes = 200e6;  //!< bytes a second that a rank writes
  double block_seconds = 10;     //!< as StageOptions::block_seconds
};

/// A unit and what it really takes, which the scheduler does not know.
struct SimulatedUnit {
  UnitSpec spec;
  double seconds = 0;
  double bytes = 0;  //!< of its sum
};

struct SimulationResult {
  double seconds = 0;         //!< from the first unit to the end of the fold
  double efficiency = 0;      //!< seconds of computing by seconds of all worker threads
  double bytes_in = 0;        //!< into rank 0 over the network
  double busiest_second = 0;  //!< most bytes into rank 0 within one second
  double peak_bytes = 0;      //!< most bytes of partial sums that rank 0 held
  double rank_0_busy = 0;     //!< share of the time that rank 0's main thread was at work
  std::int64_t blocks = 0;
};

SimulationResult simulate(const std::vector<SimulatedUnit>& units, const ClusterModel& model);

}  // namespace tributary
