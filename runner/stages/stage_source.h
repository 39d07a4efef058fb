// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where the results of stages come from: computed by the ranks of a run (computed_stages.h), or read from what an
// earlier run has stored (journalled_stages.h). A stage itself does not know which.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/errors.h"
#include "runner/cluster/stage_options.h"
#include "runner/cluster/units.h"
#include "runner/cluster/workers.h"

namespace tributary {

/// A stage: units, and what computes one.
struct Stage {
  std::string name;   //!< for people
  std::string scope;  //!< what sets stages of one name apart in a journal
  const std::vector<UnitSpec>& units;
  ComputeUnit compute;
  RunsAtOnce at_once{};

  [[nodiscard]] std::string full_name() const { return name + scope; }
};

/// A run has no result; the others go on (exit 3).
class RunFailed : public RuntimeFailure {
 public:
  using RuntimeFailure::RuntimeFailure;
};

/// Some units of a stage failed for good.
class UnitsFailed : public RunFailed {
 public:
  using RunFailed::RunFailed;
};

/// Rank 0: hears of the kinds of processor that computed what a stage has taken from the journal.
using OnProcessors = std::function<void(const std::set<std::string>&)>;

class StageSource {
 public:
  StageSource() = default;
  virtual ~StageSource() = default;
  StageSource(const StageSource&) = delete;
  StageSource& operator=(const StageSource&) = delete;

  /// A stage with all its units. Collective; sums and rows are on rank 0. Throws on every rank when it cannot be had:
  /// Stopped, UnitsFailed with the failed units' texts, or what the source throws.
  [[nodiscard]] virtual StageResult result_of(const Stage& stage) const = 0;
};

}  // namespace tributary
