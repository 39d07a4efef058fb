// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Steering on the held-out pairs: which neurons, and what the model says under each factor.
#pragma once

#include <string>
#include <vector>

#include "attribution/circuit/bootstrap.h"
#include "attribution/circuit/steering.h"
#include "runner/stages/attribution_stage.h"

namespace tributary {

/// On rank 0.
struct SteeringOutcome {
  std::vector<Node> nodes;
  std::vector<double> factors;
  std::int64_t top = 0;                                //!< tokens kept a factor and pair
  std::vector<std::vector<double>> metric;             //!< [factor][pair] logits
  std::vector<std::vector<double>> clean_probability;  //!< [factor][pair] of y
  std::vector<std::vector<double>> patch_probability;  //!< [factor][pair] of y'; NaN: none
  std::vector<std::vector<double>> divergence;         //!< [factor][pair] nats
  std::vector<std::vector<double>> tokens;             //!< [factor][pair × top] token ids, likeliest first
  std::vector<std::vector<double>> top_probability;    //!< [factor][pair × top]
  std::vector<Interval> metric_interval;               //!< [factor] of the mean over pairs
};

/// Multiplies the neurons that the run names, or the first ones of its ranking. Every rank takes part.
SteeringOutcome run_steering(const Execution& execution, const Job& job, const AttributionOutcome& attribution);

}  // namespace tributary
