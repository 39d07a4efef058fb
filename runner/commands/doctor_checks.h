// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The checks of `doctor`, each on the networks and methods that runs use. A check knows nothing of how it is printed.
#pragma once

#include <functional>
#include <string>

#include "runner/job/job.h"
#include "runner/job/model.h"

namespace tributary {

enum class Verdict { ok, warn, fail, skipped };

/// What a check found.
struct Finding {
  Verdict verdict = Verdict::ok;
  std::string measured;  //!< for people
  std::string limit;     //!< what it is held against; empty: nothing
};

/// All weights are finite.
Finding check_weights_finite(LoadedModel& loaded, const Job& job);
/// Ids of the prompts lie in the vocabulary and read back as the prompts; what stands before a prompt is the bos_token
/// that config.json names.
Finding check_tokenizer(LoadedModel& loaded, const Job& job);
/// Bits do not depend on what else is in a network call.
Finding check_rows(const Job& job);
/// Bits do not depend on what another thread computes at the same time.
Finding check_threads(const Job& job);
/// Units of single pairs and of some layers add up to the bits of one unit, as the ranks' shares of a run must.
Finding check_ranks(const Job& job);
/// What a backward pass with all rules computes again are the forward pass's bits, and so is the metric.
Finding check_forward(const Job& job);
/// RelP conserves the metric: the sum of the stream before block 0 times its gradient. Biases take a share: it is
/// measured, and the law is held on the same network without its biases.
Finding check_conservation(const Job& job);
/// IG-activations in calls of so many rows: the scores of a layer sum to its indirect effect.
Finding check_completeness(const Job& job, std::int64_t rows);
/// What bfloat16 makes of the metric and of the first neurons.
Finding check_bfloat16(LoadedModel& loaded, const Job& job);

/// Memory against plan: begin before a run of IG-activations, end after it.
class MemoryCheck {
 public:
  explicit MemoryCheck(const Job& job);
  [[nodiscard]] Finding end() const;
  /// Rows of a network call as planned.
  [[nodiscard]] std::int64_t rows() const { return rows_; }

 private:
  std::uint64_t planned_;
  std::int64_t rows_;
};

}  // namespace tributary
