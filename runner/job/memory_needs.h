// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The bytes that the stages of a group hold besides weights: in a worker, in every rank, and in rank 0, which gathers
// what all of them compute.
#pragma once

#include <cstdint>

#include "attribution/methods/footprint.h"
#include "runner/job/plan.h"

namespace tributary {

/// The longest prompts of a list, which decide, with the fewest positions that pairs of any length share.
struct Longest {
  std::int64_t length = 0;
  std::int64_t live = 0;    //!< positions that a pair's runs compute for themselves
  std::int64_t layers = 0;  //!< the most in a unit
  std::int64_t pairs = 1;   //!< the most that are computed at once
};
Longest longest_of(const RunGroup& runs, std::int64_t workers);

/// Whether several threads may compute a unit together.
enum class Sharing { none, of_units };

/// How many of a rank's threads compute units of their own, by stage.
struct WorkingThreads {
  int attribution = 1, logits = 1, circuits = 1, patching = 1;
};
WorkingThreads working_threads(const RunGroup& runs, int threads, std::int64_t ranks, Sharing sharing);

class MemoryNeeds {
 public:
  /// row: of the working network, at the longest prompts; workers: worker threads of all ranks, for which `longest` is.
  MemoryNeeds(const RunGroup& runs, const RowBytes& row, const Longest& longest, std::int64_t workers);

  /// What the workers of a rank hold in their fullest stage, with so many rows in a network call.
  [[nodiscard]] double of_workers(std::int64_t batch_rows, const WorkingThreads& working) const;
  /// What every rank holds whatever its workers do: mean activations, scores and places of nodes.
  [[nodiscard]] double rank() const;
  /// What rank 0 gathers while the workers compute.
  [[nodiscard]] double gathered() const;
  /// What rank 0 holds when all is computed, of which it makes a results file.
  [[nodiscard]] double written() const;

 private:
  [[nodiscard]] double attribution(std::int64_t batch_rows) const;
  [[nodiscard]] double path_state(const Job& run, std::int64_t pairs, std::int64_t batch_rows) const;
  [[nodiscard]] double circuits(const Job& run, std::int64_t batch_rows) const;
  [[nodiscard]] double logits(std::int64_t batch_rows) const;
  [[nodiscard]] double patching(const Job& run, std::int64_t batch_rows) const;

  const RunGroup& runs_;
  const Job& job_;
  RowBytes row_;
  std::int64_t workers_;
  Longest longest_;
  double layers_;
  double width_;  // d_model
  double real_;   // bytes of an activation or gradient
};

}  // namespace tributary
