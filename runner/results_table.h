// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run computed, as the datasets of results.h5 (design.md, Contracts).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "io/results.h"
#include "runner/attribution_stage.h"
#include "runner/circuit_stage.h"

namespace tributary {

/// Facts about this very run that may differ between runs with equal numbers: /provenance.
using Provenance = std::map<std::string, Attribute>;

ResultsFile results_of(const Job& job, const AttributionOutcome& attribution,
                       const std::optional<CircuitOutcome>& circuit, const Provenance& provenance);

}  // namespace tributary
