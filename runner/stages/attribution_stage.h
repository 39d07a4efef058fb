// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of nodes over the training pairs: baseline means and the quadrature pilot where the method needs them, then
// the units.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runner/job/job.h"
#include "runner/stages/execution.h"

namespace tributary {

/// One value a pair and column, in pair order; no rows: the method has none.
struct PairTable {
  std::vector<std::vector<double>> rows;
  [[nodiscard]] bool empty() const { return rows.empty(); }
};

/// One run on its way: what all its units share. Refers to the job.
struct PreparedRun {
  const Job* job = nullptr;
  std::vector<TaskOptions> options;         //!< of each kind of nodes
  std::map<std::int64_t, MeanState> means;  //!< by token length
  std::vector<char> audited;                //!< by training pair; empty: none
  std::vector<char> measured;               //!< the same, of the linearisation gap

  /// The run's task for one kind in a unit.
  [[nodiscard]] Task task(std::size_t kind, const Chunk& chunk) const;
};

/// What the training pairs say of one kind of nodes; layers are those of its table. Tables are on rank 0 only.
struct KindOutcome {
  PairTable metric;       //!< [pair, 2], the same of every kind
  PairTable residual;     //!< [pair, layer], or [pair, 1] on embedding paths
  PairTable gap;          //!< the same
  PairTable evaluations;  //!< [pair, layer]
  PairTable converged;    //!< [pair, layer]
  PairTable audit;        //!< [pair, layer]
  PairTable faults;       //!< [pair, layer] not 0: some score is not finite; rows may be empty
  PairTable inputs;       //!< [pair, position]
  PairTable kept;  //!< keep full: [pair, node]; K: [pair, 2 × K], nodes and scores in turn; of features so always
  PairTable kept_features;         //!< of errors, while a stage's results are shared out: keys and scores in turn
  std::vector<std::string> pilot;  //!< [layer] the rule chosen ("simpson 3"), where quadrature is pilot
  std::vector<double>
      pilot_ratio;  //!< [layer] the pilot pairs' largest error by what is allowed; above 1: no rule met it
};

struct AttributionOutcome {
  NodeLayout layout;          //!< of scores
  std::vector<float> scores;  //!< mean over training pairs; on every rank
  PreparedRun prepared;       //!< what gives the same scores again, pair by pair; on every rank
  // On rank 0 only:
  std::vector<float> standard_error, sign_share;  //!< of scores; empty: not measured
  std::vector<KindOutcome> kinds;                 //!< of the layout
  std::string failure;                            //!< why the run has no result (not_finite.h); empty: it has one

  [[nodiscard]] const PairTable& metric() const {
    // Features have what their errors say.
    return kinds[layout.tables().front().is_list() ? 1 : 0].metric;
  }
};

/// Computes runs that share model, pairs and metric, in one stage. In their order. The jobs must outlive the outcomes.
std::vector<AttributionOutcome> run_attribution(const Execution& execution, const RunGroup& runs);

/// Means of embeddings and activations over prompts, by token length; on every rank. The counterfactual prompts of the
/// pairs, or where unpaired the prompts themselves.
std::map<std::int64_t, MeanState> run_means(const Execution& execution, const Job& job, const std::string& name,
                                            const std::vector<TokenPair>& pairs);

/// Means for Baseline::mean: over attribution.baseline_file, or the training pairs.
std::map<std::int64_t, MeanState> baseline_means(const Execution& execution, const Job& job);

}  // namespace tributary
