// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The tables that one task of a unit fills in, pair by pair.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "attribution/methods/attribute.h"
#include "attribution/methods/detail/micro_batch.h"
#include "attribution/methods/detail/pair_tree.h"
#include "attribution/methods/detail/sparse_tree.h"
#include "attribution/methods/embedding_path.h"
#include "attribution/methods/integrate.h"

namespace tributary::detail {

/// How far sums of scores are from the end-point differences they approximate.
struct Differences {
  enum class Kind {
    residual,           //!< the sums tend to the difference: an error of the quadrature
    linearisation_gap,  //!< they do not: what one point, or a replacement rule, leaves out
  } kind;
  at::Tensor table;  //!< [pair, layer], or [pair, 1] on embedding paths; float64 logits
};

/// What the differences of a method on a path are.
inline Differences::Kind difference_kind(const Method& method) {
  return method.has_identity() ? Differences::Kind::residual : Differences::Kind::linearisation_gap;
}

class TaskScores {
 public:
  /// A unit of `pairs` pairs of `length` tokens.
  TaskScores(const Task& task, std::int64_t pairs, std::int64_t length);

  [[nodiscard]] const Task& task() const { return task_; }
  [[nodiscard]] const Method& method() const { return task_.method; }
  [[nodiscard]] const TaskOptions& options() const { return task_.options; }
  [[nodiscard]] const NodeTable& nodes() const { return task_.options.nodes; }
  [[nodiscard]] std::int64_t layers() const { return task_.options.layers.count(); }
  [[nodiscard]] bool audited(std::int64_t pair) const;
  /// Of which of the micro-batch's `count` pairs the linearisation gap is measured; none where all are 0.
  [[nodiscard]] std::vector<char> gap_pairs(std::int64_t count) const;
  [[nodiscard]] bool measures_spread() const { return task_.options.spread == TaskOptions::Spread::measure; }

  /// The pairs of the micro-batch at hand begin here.
  void begin(std::int64_t first_pair) { first_ = first_pair; }

  /// Scores of the micro-batch's pairs [pair, layer, pos, node]; pos are the last positions of the prompts. All of
  /// them must be finite but for those of ScoreKind::exact, whose task knows which nodes it leaves out.
  void add(const at::Tensor& scores);
  /// Scores of a dictionary's features beside those of the errors: of the micro-batch's pairs, keys ascending, a number
  /// each.
  void add_sparse(std::size_t dictionary, std::vector<SparseScores> pairs);
  /// Σ of scores that must be finite [pair, layer], of the micro-batch's pairs: one that is not makes its sum so.
  void expect_finite(const at::Tensor& sums) { sums_.push_back(sums); }
  /// Sums of scores minus true end-point differences.
  void store(const Differences& differences);
  /// Gradient evaluations that one pair took in layers l … l + count - 1.
  void store_evaluations(std::int64_t pair, std::int64_t l, std::int64_t count, int evaluations);
  /// The same of an integral, and whether it converged, where the quadrature is adaptive.
  void store_integral(std::int64_t pair, std::int64_t l, std::int64_t count, const PathIntegral& integral);
  /// Relative L1 error of scores against finer ones, in layer l.
  void store_audit(std::int64_t pair, std::int64_t l, const at::Tensor& scores, const at::Tensor& finer);
  /// Input IG per token [pair, pos], the last positions of the prompts.
  void store_inputs(const at::Tensor& tokens);

  /// What the pairs have given, at the end: sums of features are taken out.
  [[nodiscard]] UnitScores finish(const at::Tensor& metric);

 private:
  void store_sampled(std::int64_t pair, std::int64_t dictionary, const SparseScores& scores);
  /// A dictionary's features after those of the ones before.
  void keep_features(std::int64_t pair, const SparseScores& scores);
  void fill_layers(const at::Tensor& table, std::int64_t pair, std::int64_t l, std::int64_t count, double value) const;

  const Task& task_;
  std::int64_t pairs_, length_, first_ = 0;
  PairTree tree_;
  std::vector<SparseTree> sparse_;  // by dictionary: their keys follow each other
  UnitScores out_;
  std::vector<at::Tensor> sampled_, kept_, sums_;  // a micro-batch each
  std::vector<SparseScores> kept_features_;        // a pair each
};

/// A pilot candidate as a sweep. Conductance sums over intervals: there it stands for its number of points.
SweepPlan candidate_plan(const Method& method, RulePoints candidate);
/// The fixed plan of layer l of the task (0 on embedding paths): the method's own, or the pilot's choice.
SweepPlan plan_of(const Task& task, std::int64_t l);
/// The finer sweep that an audit compares with: at least twice the points.
SweepPlan audit_plan(const Task& task, int used);
AdaptiveOptions adaptive_options(const Task& task);
/// Whether conductances of values are summed up along the path: those of embeddings are what input IG is.
bool sums_conductance(const Task& task);
/// The fixed sweep of a method with the given rule and number of points (of intervals, for standard conductance), with
/// alpha = 0 dropped where the zero baseline makes it meaningless.
SweepPlan sweep_of(const Method& method, Quadrature rule, int steps);

// What tasks make of a micro-batch: gradient_task.cpp, activation_task.cpp, embedding_task.cpp.

/// One-point methods, |difference|, noise and exact patching.
void run_gradient_task(const MicroBatch& micro, TaskScores& task);
void run_activation_task(const MicroBatch& micro, TaskScores& task);

/// What a path of one layer's values gives, of all pairs.
struct SiteIntegrals {
  at::Tensor gradient;                  //!< mean dm/dv [pair, pos, width], stream dtype
  at::Tensor difference;                //!< [pair] float64: sum of scores − true end-point difference
  std::vector<PathIntegral> integrals;  //!< by pair, without gradients
};
/// The paths of a task's nodes by themselves, by layer.
std::map<std::int64_t, SiteIntegrals> integrate_site(const MicroBatch& micro, const Task& task);
/// Tasks on the embedding path with the same rules and baseline, sharing one sweep where their points are fixed.
void run_embedding_tasks(const MicroBatch& micro, const std::vector<TaskScores*>& tasks);
/// Whether a task's path is that of the embeddings: by its method, or because they are its nodes.
bool moves_embeddings(const Task& task);
/// Whether two tasks may share a sweep of the embeddings.
bool share_sweep(const TaskScores& a, const TaskScores& b);

/// The pilot (attribute.h) on a micro-batch.
PilotChoices activation_pilot(const MicroBatch& micro, const Task& task);
PilotChoices embedding_pilot(const MicroBatch& micro, const Task& task);

}  // namespace tributary::detail
