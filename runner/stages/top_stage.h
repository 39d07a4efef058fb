// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the neurons of a run's first nodes do: the tokens that they promote and suppress, and their values on the
// training pairs.
#pragma once

#include <cstdint>
#include <vector>

#include "runner/stages/attribution_stage.h"

namespace tributary {

/// On rank 0. Places count tokens, the strongest first.
struct TopOutcome {
  std::vector<Node> nodes;    //!< [rank] by |score|
  std::vector<float> scores;  //!< [rank]
  std::int64_t places = 0;
  std::vector<std::vector<double>> promoted, suppressed;  //!< [rank][place] token ids
  std::vector<std::vector<double>> promoted_logit,
      suppressed_logit;             //!< [rank][place] logits for a unit of a neuron's value,
                                    //!< or the mean difference of another node's
  PairTable clean, counterfactual;  //!< [pair, rank] values; counterfactual has no rows where unpaired
};

/// Looks at the first nodes of a run, as many as it names and as have a score, in float32 or better. Every rank takes
/// part.
TopOutcome run_top(const Execution& execution, const Job& job, const AttributionOutcome& attribution);

}  // namespace tributary
