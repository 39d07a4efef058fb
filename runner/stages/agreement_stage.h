// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Agreement with the truth: a sample of neurons that every run of a group is compared on, and exact patching of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "attribution/circuit/bootstrap.h"
#include "attribution/circuit/stratified_sample.h"
#include "runner/stages/attribution_stage.h"

namespace tributary {

/// The sample of a group's runs: a function of model, pairs, metric and the keys under `agreement`, not of the methods
/// compared. Stratified by what AtP, RelP and |Δ| (of the counterfactual, or of zero where unpaired) say over the
/// training pairs. Collective; the same on every rank.
std::vector<SampledNeuron> choose_sample(const Execution& execution, const Job& job);

/// Exact effects of sampled neurons on the training pairs [pair, neuron], in float32 or better, against the baseline
/// and in the direction of a run. Computed once for the runs that have those in common.
class ExactEffects {
 public:
  ExactEffects(const Execution& execution, std::vector<SampledNeuron> sample)
      : execution_(execution), sample_(std::move(sample)) {}

  [[nodiscard]] const std::vector<SampledNeuron>& sample() const { return sample_; }
  /// Collective; rows are on rank 0.
  const PairTable& of(const Job& job);

 private:
  const Execution& execution_;
  std::vector<SampledNeuron> sample_;
  std::map<std::string, PairTable> tables_;
};

/// Just the neurons.
std::vector<Neuron> neurons_of(const std::vector<SampledNeuron>& sample);

/// How far a run's scores agree with exact patching: one statistic.
struct AgreementStatistic {
  std::string name;  //!< "pearson", "pearson without the largest", "spearman", "top-30 overlap"
  double value = 0;
  Interval interval;
};

/// What results tell of it; rank 0.
struct AgreementOutcome {
  std::vector<SampledNeuron> sample;
  PairTable exact, score;  //!< [pair, neuron]
  std::vector<AgreementStatistic> statistics;
};

/// Statistics of means over the training pairs, with intervals over unique prompt pairs. A tenth of the sample is the
/// top of `top-k overlap`.
AgreementOutcome agreement_of(const Job& job, const std::vector<SampledNeuron>& sample, const PairTable& exact,
                              const PairTable& score);

/// Prompt pairs by what is unique in them: clusters for the bootstrap.
std::vector<std::int64_t> prompt_clusters(const std::vector<TokenPair>& pairs);

}  // namespace tributary
