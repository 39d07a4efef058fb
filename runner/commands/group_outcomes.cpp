// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/group_outcomes.h"

#include <string>
#include <utility>

#include "runner/stages/circuit_stage.h"
#include "runner/stages/not_finite.h"
#include "runner/stages/steering_stage.h"
#include "runner/stages/top_stage.h"

namespace tributary {

GroupOutcomes::GroupOutcomes(const Execution& execution, RunGroup runs)
    : execution_(execution),
      runs_(std::move(runs)),
      attributions_(run_attribution(execution, runs_)),
      performance_(run_performance(execution, *runs_.front(), attributions_.front().metric())),
      // Before any run's own stages, which time only what is theirs.
      compared_(compare_with_exact(execution, runs_, attributions_)) {}

Outcome GroupOutcomes::of(std::size_t i, Timings& own) {
  const Job& job = *runs_[i];
  const Execution alone{
      execution_.comm, execution_.stages, execution_.rows, execution_.stop, own, " of run " + std::to_string(i)};
  agreed(execution_.comm, [&] {
    if (execution_.comm.rank() == 0) require_none(attributions_[i].failure);
  });
  Outcome outcome;
  outcome.attribution = &attributions_[i];
  outcome.performance = &performance_;
  if (job.config.method.has_neurons()) outcome.top = run_top(alone, job, attributions_[i]);
  if (job.has_circuit()) outcome.circuit = run_circuits(alone, job, attributions_[i]);
  if (job.has_steering()) outcome.steering = run_steering(alone, job, attributions_[i]);
  agreed(execution_.comm, [&] {
    if (execution_.comm.rank() != 0) return;
    for (const ComparedSample& kind : compared_[i]) {
      if (kind.sample.empty()) continue;
      require_none(faults_of(job, neurons_of(kind.sample), kind.exact));
      outcome.agreement.push_back(agreement_of(job, kind));
    }
  });
  return outcome;
}

}  // namespace tributary
