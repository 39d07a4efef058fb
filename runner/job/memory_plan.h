// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rows per network call from the memory there is, and the peak that a rank will reach.
#pragma once

#include <cstdint>
#include <string>

#include "attribution/methods/footprint.h"
#include "runner/job/plan.h"

namespace tributary {

/// What a rank is among the others.
struct RankPlace {
  int threads = 1;           //!< worker threads of its own
  int ranks_here = 1;        //!< ranks that share the memory (of the node, or of the card)
  std::int64_t workers = 1;  //!< worker threads of all ranks
  enum class Role { gathers, computes } role = Role::gathers;  //!< rank 0 gathers what all compute
};

struct MemoryPlan {
  std::int64_t batch_rows = 0;
  int threads = 1;                  //!< worker threads: those of the place, or fewer where the number is not asked for
  std::uint64_t budget = 0;         //!< bytes this rank may take
  std::uint64_t expected_peak = 0;  //!< bytes it will take at most: on the CPU resident memory, on a card the card's
  std::uint64_t weights = 0;        //!< of these, which the ranks of a node share on the CPU
  RowBytes row;                     //!< of the longest prompts
};

/// Plans for one rank that computes the group. Throws UserError when `memory` is too small for a single pair; where it
/// is not given and the machine's is too small, the expected peak is above the budget.
MemoryPlan plan_memory(const RunGroup& runs, const RankPlace& place);

/// That a rank may take more than it should, in words for people; empty where it does not.
std::string too_little_memory(const MemoryPlan& plan);

/// What to ask a batch system for, on the CPU, so that each of a node's ranks takes what was planned. gatherer: of
/// rank 0, other: of any other rank.
std::uint64_t memory_of_node(const MemoryPlan& gatherer, const MemoryPlan& other, std::int64_t ranks);

}  // namespace tributary
