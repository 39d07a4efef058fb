// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The checks of `doctor` on what a model is stored as and what of the machine it takes: weights, tokenizer, bfloat16,
// memory.
#pragma once

#include <cstdint>

#include <nlohmann/json_fwd.hpp>

#include "attribution/methods/attribute.h"
#include "runner/commands/doctor_finding.h"
#include "runner/job/job.h"
#include "runner/job/model.h"

namespace tributary {

/// All weights are finite.
Finding check_weights_finite(LoadedModel& loaded, const Job& job);
/// Ids of the prompts lie in the vocabulary and read back as the prompts; what stands before a prompt is the bos_token
/// that config.json names.
Finding check_tokenizer(const nlohmann::json& config, const Job& job);
/// What bfloat16 makes of the metric and of the first neurons.
Finding check_bfloat16(LoadedModel& loaded, const Job& job);
/// Its comparison of RelP's scores in float32 and in bfloat16.
Finding compare_precisions(const UnitScores& fine, const UnitScores& rough);

/// Memory against plan: begin before a run of IG-activations in calls of rows(), end after it.
class MemoryCheck {
 public:
  explicit MemoryCheck(const Job& job);  //!< which must outlive it
  /// Fills a network call of rows(), up and down the whole network, which the run need not have done.
  [[nodiscard]] Finding end() const;
  /// Rows of a network call as planned: fewer than a run's, which would take long, and planned for in the same way.
  [[nodiscard]] std::int64_t rows() const { return rows_; }

 private:
  const Job& job_;
  std::uint64_t planned_;
  std::int64_t rows_;
};
/// Its judgement of the most bytes that were held.
Finding judge_peak(std::uint64_t peak, std::uint64_t planned);

}  // namespace tributary
