// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far scores agree with exact patching, read off a sample of nodes: what it says of all of them, and how sure that
// is. Plain numbers: no tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attribution/circuit/bootstrap.h"
#include "attribution/circuit/stratified_sample.h"

namespace tributary {

struct AgreementStatistic {
  std::string name;
  double value = 0;
  Interval interval;
};

/// Statistics of means over the pairs, exact [pair][neuron] against score [pair][neuron] of the sample's neurons:
/// - "pearson", "pearson without the largest", "spearman": estimates for all nodes of the population, a sampled one
///   counting 1 / inclusion times; intervals over pairs (by cluster) and nodes;
/// - "pearson of the random nodes", "spearman of the random nodes": of the drawn ones alone, each counting once,
///   whatever is judged; intervals over pairs and nodes;
/// - "top-k overlap in the sample", k a tenth of it: share of the k largest exact effects there that are among the k
///   largest scores there; an interval over pairs.
/// A statistic is NaN where all effects or all scores that it compares are equal. Intervals are clamped to what it can
/// be, and hold its value; NaN where it is, and where the effects or the scores of the random ones have fewer than
/// seven different values (docs/results.md says why).
std::vector<AgreementStatistic> sample_agreement(const std::vector<SampledNeuron>& sample,
                                                 const std::vector<std::vector<double>>& exact,
                                                 const std::vector<std::vector<double>>& score,
                                                 const std::vector<std::int64_t>& cluster,
                                                 const BootstrapOptions& options);

}  // namespace tributary
