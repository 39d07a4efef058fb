// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/group_outcomes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "runner/stages/circuit_stage.h"
#include "runner/stages/not_finite.h"
#include "runner/stages/steering_stage.h"

namespace tributary {
namespace {

std::vector<SampledNeuron> sample_of(const Execution& execution, const RunGroup& runs) {
  const bool compares = std::any_of(runs.begin(), runs.end(), [](const Job* run) { return run->has_agreement(); });
  return compares ? choose_sample(execution, *runs.front()) : std::vector<SampledNeuron>();
}

}  // namespace

GroupOutcomes::GroupOutcomes(const Execution& execution, RunGroup runs)
    : execution_(execution),
      runs_(std::move(runs)),
      exact_(execution, sample_of(execution, runs_)),
      attributions_(run_attribution(execution, runs_, neurons_of(exact_.sample()))) {
  // Before any run's own stages, which time only what is theirs.
  for (const Job* run : runs_) truths_.push_back(run->has_agreement() ? &exact_.of(*run) : nullptr);
}

Outcome GroupOutcomes::of(std::size_t i, Timings& own) const {
  const Job& job = *runs_[i];
  const Execution alone{
      execution_.comm, execution_.stages, execution_.rows, execution_.stop, own, " of run " + std::to_string(i)};
  agreed(execution_.comm, [&] {
    if (execution_.comm.rank() == 0) require_none(attributions_[i].failure);
  });
  Outcome outcome;
  outcome.attribution = &attributions_[i];
  if (job.has_circuit()) outcome.circuit = run_circuits(alone, job, attributions_[i]);
  if (job.has_steering()) outcome.steering = run_steering(alone, job, attributions_[i]);
  agreed(execution_.comm, [&] {
    if (execution_.comm.rank() != 0 || truths_[i] == nullptr) return;
    require_none(faults_of(job, neurons_of(exact_.sample()), *truths_[i]));
    outcome.agreement = agreement_of(job, exact_.sample(), *truths_[i], attributions_[i].sampled);
  });
  return outcome;
}

}  // namespace tributary
