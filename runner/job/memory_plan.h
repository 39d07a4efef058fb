// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rows per network call from the memory there is, and the peak that a rank will reach.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "attribution/methods/footprint.h"
#include "runner/job/plan.h"

namespace tributary {

/// "8 GiB", "500 MB", "2.5 GiB" in bytes. Throws std::invalid_argument saying what is allowed.
std::uint64_t parse_bytes(const std::string& text);
/// "8.2 GiB"
std::string text_of_bytes(std::uint64_t bytes);

/// Rows in one network call, shared by the worker threads of a rank; halved where memory runs out.
class BatchRows {
 public:
  explicit BatchRows(std::int64_t rows) : rows_(rows) {}
  [[nodiscard]] std::int64_t get() const { return rows_; }
  /// Halves from what a caller ran out with, so that several that do so together halve once. False when it was one row.
  bool halve(std::int64_t from);
  [[nodiscard]] std::int64_t halvings() const { return halvings_; }

 private:
  std::atomic<std::int64_t> rows_;
  std::atomic<std::int64_t> halvings_{0};
};

struct MemoryPlan {
  std::int64_t batch_rows = 0;
  std::uint64_t budget = 0;         //!< bytes this rank may take
  std::uint64_t expected_peak = 0;  //!< bytes it will take at most: on the CPU resident memory, on a card the card's
  RowBytes row;                     //!< of the longest prompts
};

/// Plans for one rank that computes the group with `threads` worker threads. `ranks_here`: ranks that share the
/// memory (of the node, or of the card). Throws UserError when `memory` is too small for a single pair.
MemoryPlan plan_memory(const RunGroup& runs, int threads, int ranks_here);

/// The most resident memory that this process has had so far, in bytes.
std::uint64_t peak_resident_bytes();

}  // namespace tributary
