// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What all stages of a run share: the ranks, where results come from, and how calls of the network are made.
#pragma once

#include <functional>
#include <string>

#include "attribution/methods/attribute.h"
#include "runner/cluster/comm.h"
#include "runner/cluster/stage_options.h"
#include "runner/cluster/stopping.h"
#include "runner/job/plan.h"
#include "runner/stages/batch_rows.h"
#include "runner/stages/stage_source.h"
#include "runner/stages/timings.h"

namespace tributary {

struct Execution {
  const Communicator& comm;
  const StageSource& stages;
  const BatchRows& rows;           //!< of a call of the network
  const StopFlag* stop = nullptr;  //!< abandons a unit between two calls
  Timings& timings;
  std::string scope{};  //!< what sets stages of the same name apart in the journal

  /// Rows of a call, and a stop that abandons a unit between two of them.
  [[nodiscard]] Batching batching() const;
  /// The same for stages that evaluate scores, with an identity of what they depend on besides: the journal then holds
  /// several evaluations of the same scores.
  [[nodiscard]] Execution evaluating(const std::string& identity) const;
};

/// The chunks of a plan, computed or read. Where the plan says that units are computed at once, `compute` also gets
/// chunks of several units' pairs, and must give rows as RowWriter writes them. Collective; throws as
/// StageSource::result_of does.
StageResult run_plan(const Execution& execution, const std::string& name, const StagePlan& plan,
                     const std::function<UnitResult(const Chunk&)>& compute);

}  // namespace tributary
