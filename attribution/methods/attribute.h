// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One unit of attribution: the scores of a chunk of prompt pairs over a range of layers, summed over
// the pairs, with what each pair says of its own error.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "attribution/methods/activation_path.h"
#include "attribution/methods/base_runs.h"
#include "attribution/methods/exact_patching.h"
#include "attribution/methods/table.h"
#include "attribution/model/prompts.h"
#include "attribution/nodes/dictionary.h"
#include "attribution/nodes/feature_edit.h"
#include "attribution/nodes/node.h"

namespace tributary {

/// The network to attribute in its own dtype, and one for end-point differences: float32 where the first is bfloat16
/// (whose differences are rounding noise: docs/methods.md), else the same.
struct Networks {
  const Transformer* working = nullptr;
  const Transformer* exact = nullptr;
};

/// Means over a set of prompts, for Baseline::mean and ablation: of what is read at each site [layer, pos, width]; the
/// embeddings' [1, pos, d_model] are always among them, and of features' runs what stands where features write.
using MeanState = std::map<Site, at::Tensor>;

/// Which scores of each single pair are kept besides their sum.
struct Keep {
  enum class What { sums, largest, all } what = What::sums;
  std::int64_t count = 0;  //!< largest: so many a pair, by |score|
};

/// A quadrature rule with its number of points.
struct RulePoints {
  Quadrature rule;
  int points;
};

/// Sums of what few nodes have: an entry a key, ascending, with `width` numbers each: the value, and where the spread
/// is measured square and sign.
struct SparseScores {
  std::int64_t width = 1;
  std::vector<std::int64_t> keys;
  std::vector<double> values;  //!< [key, width]
};

/// What one method of a unit is given: first what all of them read, then what only some kinds do.
struct TaskOptions {
  NodeTable nodes;                                            //!< whose scores; of features their errors
  LayerRange layers;                                          //!< of that table
  MeanState mean;                                             //!< Baseline::mean
  std::shared_ptr<const FeatureValues> feature_mean{};        //!< the same of features: of one sequence
  std::vector<Node> sampled;                                  //!< nodes whose scores are given pair by pair
  Keep keep;                                                  //!< what else is
  enum class Spread { skip, measure } spread = Spread::skip;  //!< whether squares and signs are summed as well

  /// Features as well: the layers are these dictionaries.
  std::shared_ptr<const std::vector<Dictionary>> dictionaries{};

  // Methods on a path.
  std::vector<char> audit;              //!< [pair] pairs to recompute with twice the points; empty: none
  std::vector<RulePoints> layer_rules;  //!< quadrature pilot: of each layer of the table; one on embedding paths

  std::vector<char> gap;     //!< [pair] pairs whose linearisation gap is paid for, of methods with one; empty: none
  std::vector<Node> sample;  //!< ScoreKind::exact: the nodes to patch
  std::uint64_t seed = 0;    //!< ScoreKind::noise
  at::Tensor given;          //!< ScoreKind::imported: of every pair [layer of the table, pos or 1, node] float32
  /// The same of features, those that have a score; not owned.
  const SparseScores* given_features = nullptr;
};

/// One method to compute in a unit.
struct Task {
  Method method;
  TaskOptions options;
};

struct UnitOptions {
  Batching batching;
};

/// Where the features of each dictionary begin in the keys of a list of them, and how many keys there are: the key of a
/// feature is that + position · features + feature.
std::vector<std::int64_t> first_keys(const std::vector<Dictionary>& dictionaries, std::int64_t positions);
/// Seeded noise in [-1, 1) that depends on the key only.
double feature_noise(std::int64_t key, std::uint64_t seed);

/// Per pair and layer of the unit unless said. Undefined where the method has none.
struct UnitScores {
  at::Tensor scores;       //!< SUM over the pairs [layer, pos or 1, node], float64; input-ig: [1, pos or 1, 1]
  SparseScores sparse;     //!< of features: the same sums, of those that are not zero on some prompt
  at::Tensor squares;      //!< the sum of the scores' squares, the same shape, where the spread is measured
  at::Tensor signs;        //!< the sum of their signs (spread.h), likewise
  at::Tensor residual;     //!< [pair, layer] float64 logits; [pair, 1] on embedding paths
  at::Tensor gap;          //!< linearisation gap, the same shapes; NaN where it was not measured
  at::Tensor evaluations;  //!< [pair, layer] float64: gradient evaluations spent
  at::Tensor converged;    //!< [pair, layer] 1 or 0, where quadrature is adaptive
  at::Tensor audit;        //!< [pair, layer] relative L1 error against a finer rule; NaN where not audited
  at::Tensor faults;       //!< [pair, layer] 1 where a score is not finite that should be; undefined: nowhere
  at::Tensor metric;       //!< [pair, 2] m on clean and counterfactual (NaN when unpaired)
  at::Tensor inputs;       //!< [pair, pos] input IG per token, on embedding paths
  at::Tensor sampled;      //!< [pair, n] of the sampled nodes in the unit's layers, in their order
  /// Keep all: [pair, layer × pos × node]. Largest: [pair, 2 × count], nodes (their place in the whole table's
  /// [layer, pos, node]) and scores in turn, largest first; nodes are -1 where a unit has fewer.
  at::Tensor kept;
  /// Where single pairs are kept, of features [pair, 2 × most]: keys, ascending, and scores in turn; a key of -1 fills
  /// up a pair that has fewer. A feature that does not change on a pair is not among them: its score is 0.
  at::Tensor kept_features;
};

/// What a unit gives: scores by task, and the floating-point operations that were needed for all of them.
struct UnitOutcome {
  std::vector<UnitScores> scores;
  double flops = 0;
};

/// Computes one unit: some methods on the same pairs, sharing runs, sweeps and gradients; each gets the bits it would
/// get alone. Sums over pairs are a binary tree over their places in the unit, so a unit of 2^k aligned pairs is a node
/// of the tree over all pairs. Threads: one call a thread, any number at once.
UnitOutcome attribute(const Networks& networks, const std::vector<Task>& tasks, const Prompts& prompts,
                      const UnitOptions& options);

/// How often each rule acts in one backward pass through the last `blocks` blocks and the head, all rules on.
Fired count_fired(const Transformer& model, std::int64_t blocks);

/// The rules that the quadrature pilot may choose, in order of cost.
const std::vector<RulePoints>& pilot_candidates();

/// What the pilot found, [pair, layer] each; [pair, 1] on embedding paths.
struct PilotChoices {
  at::Tensor candidate;  //!< index of the cheapest one that met the tolerance, or of the last one
  at::Tensor ratio;      //!< its error by that of the tolerance; above 1: no candidate met it
};

/// A candidate's error is |residual|; where scores are conductances, which have none, their relative L1 change from the
/// candidate before.
PilotChoices pilot(const Networks& networks, const Task& task, const Prompts& prompts, const UnitOptions& options);

}  // namespace tributary
