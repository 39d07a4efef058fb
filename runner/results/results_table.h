// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run computed, as the datasets of results.h5 (docs/results.md).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "io/results.h"
#include "runner/stages/agreement_stage.h"
#include "runner/stages/circuit_stage.h"
#include "runner/stages/performance_stage.h"
#include "runner/stages/steering_stage.h"
#include "runner/stages/top_stage.h"

namespace tributary {

/// Facts about this very run that may differ between runs with equal numbers: /provenance.
using Provenance = std::map<std::string, Attribute>;

/// What a run has computed; rank 0.
struct Outcome {
  AttributionOutcome* attribution = nullptr;
  const PerformanceOutcome* performance = nullptr;
  std::optional<TopOutcome> top;
  std::optional<CircuitOutcome> circuit;
  std::vector<AgreementOutcome> agreement;  //!< of each kind of nodes; empty: not compared
  std::optional<SteeringOutcome> steering;
};

/// Takes the scores of single pairs out of the attribution, of which there may be more than memory holds twice.
ResultsFile results_of(const Job& job, const Outcome& outcome, const Provenance& provenance);

}  // namespace tributary
