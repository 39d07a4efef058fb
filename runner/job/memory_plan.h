// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rows per network call from the memory there is, and the peak that a rank will reach.
#pragma once

#include <cstdint>

#include "attribution/methods/footprint.h"
#include "runner/job/plan.h"

namespace tributary {

struct MemoryPlan {
  std::int64_t batch_rows = 0;
  std::uint64_t budget = 0;         //!< bytes this rank may take
  std::uint64_t expected_peak = 0;  //!< bytes it will take at most: on the CPU resident memory, on a card the card's
  RowBytes row;                     //!< of the longest prompts
};

/// Plans for one rank that computes the group with `threads` worker threads. `ranks_here`: ranks that share the
/// memory (of the node, or of the card). Throws UserError when `memory` is too small for a single pair.
MemoryPlan plan_memory(const RunGroup& runs, int threads, int ranks_here);

}  // namespace tributary
