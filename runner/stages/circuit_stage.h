// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Circuits on the held-out pairs: ranking, ablation means, the curve, and the areas CPR and CMD.
#pragma once

#include <vector>

#include "attribution/circuit/bootstrap.h"
#include "runner/stages/attribution_stage.h"

namespace tributary {

/// An area under a curve over fractions of nodes.
struct AreaCurve {
  std::vector<std::int64_t> count;
  std::vector<double> value;  //!< faithfulness (CPR) or |1 - faithfulness| (CMD)
  double area = 0;
};

struct CircuitOutcome {
  std::vector<std::int64_t> count;     //!< [point]
  std::vector<std::string> selection;  //!< [point] what asked for it ("count 30", "mass 0.5")
  std::vector<double> faithfulness, completeness;
  std::vector<Interval> faithfulness_interval, completeness_interval;  //!< [point] over unique held-out pairs
  std::vector<std::vector<double>> metric_circuit, metric_complement;  //!< [point][pair]
  std::vector<double> metric_full, metric_empty;                       //!< [pair]
  std::int64_t nodes = 0;                                              //!< that compete
  std::int64_t scored = 0;  //!< nodes with a score: what a larger circuit holds is made up, so its numbers are NaN
  bool measurable = true;   //!< |F(M) - F(empty)| is large enough for the ratios
  std::optional<AreaCurve> cpr, cmd;  //!< where they are asked for
};

/// Meaningful on rank 0; every rank takes part. Throws RunFailed where a number that it needs is not finite.
CircuitOutcome run_circuits(const Execution& execution, const Job& job, const AttributionOutcome& attribution);

}  // namespace tributary
