// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The checks of `doctor` on the maths: the rules of RelP leave values alone and conserve the metric, IG-activations sum
// to each layer's effect.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "attribution/model/rules.h"
#include "runner/commands/doctor_finding.h"
#include "runner/job/job.h"

namespace tributary {

/// A backward pass with all rules leaves the forward pass as it is: what it computes again are the same bits, and so
/// are the metric and the plain derivatives that are taken from the same pass after it.
Finding check_forward(const Job& job);

/// Rules under which the shares of embeddings and biases add up to the metric: RelP's, and the soft-cap's where the
/// family caps its logits.
Rules conserving_rules(const Architecture& architecture);
/// With these rules, Σ e · dm/de over what block 0 reads plus Σ b · dm/db over all biases is m. The biases' share of m
/// is told where there are some.
Finding check_conservation(const Job& job, Rules rules);

/// IG-activations in calls of at most so many rows: the scores of a layer sum to m less m with the layer's neurons as
/// in the counterfactual run, which is computed apart; and so say the residuals that runs store.
Finding check_completeness(const Job& job, std::int64_t rows);

/// What a pass up and down gives.
struct PassValues {
  at::Tensor metric;                                         //!< [pair]
  at::Tensor by_stream;                                      //!< dm/de before block 0 [pair, pos, d_model]
  std::vector<at::Tensor> neurons, recomputed, derivatives;  //!< [layer] of [pair, pos, neuron]
};
/// The comparison of check_forward: a fresh pass with plain derivatives, and one that had a backward pass with rules
/// before.
Finding compare_passes(const PassValues& fresh, const PassValues& after_rules);

/// What is known of IG-activations' sums, [pair, layer] float64 in logits.
struct LayerSums {
  at::Tensor scores;    //!< the sum of a layer's scores
  at::Tensor effect;    //!< what it should be
  at::Tensor residual;  //!< by how much the unit said that it is off
  at::Tensor whole;     //!< [pair] difference of m between the two prompts: effects far below it are not resolved
};
/// The judgement of check_completeness.
Finding judge_sums(const LayerSums& sums, double tolerance);

}  // namespace tributary
