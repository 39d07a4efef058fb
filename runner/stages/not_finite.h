// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Numbers of a run that are not finite, in words: one such pair turns every mean over the pairs into NaN, and a ranking
// of NaNs is the order of the neurons' numbers. A run that has any has no result (RunFailed).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runner/stages/attribution_stage.h"

namespace tributary {

// Empty where everything is finite.

/// The training pairs whose metric or scores are not finite, with the layers. On rank 0.
std::string faults_of(const Job& job, const AttributionOutcome& outcome);

/// Means over prompts, by token length. what: "baseline means".
std::string faults_of(const std::map<std::int64_t, MeanState>& means, const std::string& what);

/// Exact effects of neurons [pair, neuron] on the training pairs.
std::string faults_of(const Job& job, const std::vector<Node>& nodes, const PairTable& effects);

/// m of the held-out pairs, in their order. what: "with nothing ablated".
std::string faults_of(const Job& job, const std::vector<double>& metric, const std::string& what);

/// Throws RunFailed where there are any.
void require_none(const std::string& faults);

}  // namespace tributary
