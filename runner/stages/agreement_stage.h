// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Agreement with the truth: a sample of neurons a run, exact patching of them, and what the run's method says of them
// pair by pair. What a run gets does not depend on the other runs of its group.
#pragma once

#include <string>
#include <vector>

#include "attribution/circuit/sample_agreement.h"
#include "attribution/circuit/stratified_sample.h"
#include "runner/stages/attribution_stage.h"

namespace tributary {

/// What a run is compared on, for one kind of nodes. No sample: the run is not compared.
struct ComparedSample {
  SampleDesign design;
  std::vector<SampledNeuron> sample;
  PairTable exact, score;  //!< [pair, neuron]; on rank 0
};

/// How the sample of a run is drawn: from the nodes at positions from the first token on in which the prompts of some
/// training pair differ (all, where they are unpaired or positions are summed). Depends on model, pairs and the keys
/// under `agreement` alone.
SampleDesign agreement_design(const Job& job, const NodeTable& table);

/// For each run of the group, in order, and each kind of its nodes: exact effects on the training pairs, in float32 or
/// better, against the baseline and in the direction of the run, computed once for the runs that have those in common;
/// and the scores that the run has given the same neurons. Two stages a group and more. Collective.
std::vector<std::vector<ComparedSample>> compare_with_exact(const Execution& shared, const RunGroup& runs,
                                                            const std::vector<AttributionOutcome>& attributions);

/// What results tell of it; rank 0. Where a score is a magnitude (|Δ|, a mean of |score|), exact effects are so too.
struct AgreementOutcome {
  SampleDesign design;
  std::vector<SampledNeuron> sample;
  PairTable exact, score;  //!< [pair, neuron]
  std::vector<AgreementStatistic> statistics;
};

/// Statistics of means over the training pairs, with intervals over unique prompt pairs and the sampled neurons.
AgreementOutcome agreement_of(const Job& job, const ComparedSample& compared);

/// Just the neurons.
std::vector<Node> neurons_of(const std::vector<SampledNeuron>& sample);

/// Prompt pairs by what is unique in them: clusters for the bootstrap.
std::vector<std::int64_t> prompt_clusters(const std::vector<TokenPair>& pairs);

}  // namespace tributary
