// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/task_scores.h"

#include "attribution/methods/detail/pair_scores.h"
#include "attribution/methods/detail/spread.h"
#include "attribution/methods/spread.h"
#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/team.h"

namespace tributary::detail {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr int audit_points = 33;  // at least: a trapezoid of twice Simpson's three would be a worse rule than it

/// In float64. Where nothing differs, a product with a gradient may be -0, and a shared position has none: + 0 makes
/// both 0.
at::Tensor wide(const at::Tensor& scores) {
  return scores.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).add_(0.0);
}

/// Numbers [pair, layer] that are finite where all scores [pair, layer, pos, neuron] are.
at::Tensor sums_that_tell(const at::Tensor& scores) {
  if (!scores.is_cpu() || !scores.is_contiguous()) return scores.to(at::kDouble).sum({2, 3});
  at::Tensor sums = at::zeros({scores.size(0), scores.size(1)}, at::kDouble);
  const at::Tensor rows = scores.flatten(0, 1);
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    if (!all_finite(rows[i])) sums.mutable_data_ptr<double>()[i] = not_a_number;
  }
  return sums;
}

/// A value, its square and its sign for each value.
SparseScores with_spread(SparseScores scores) {
  SparseScores all{3, std::move(scores.keys), {}};
  all.values.reserve(3 * scores.values.size());
  for (const double value : scores.values) {
    all.values.insert(all.values.end(), {value, value * value, value < 0 ? negative_sign : value > 0 ? 1 : 0});
  }
  return all;
}

/// Lists whose keys follow each other as one; they are freed on the way.
SparseScores joined(std::vector<SparseScores> lists) {
  SparseScores all;
  std::size_t keys = 0, values = 0;
  for (const SparseScores& list : lists) {
    if (list.keys.empty()) continue;
    all.width = list.width;
    keys += list.keys.size();
    values += list.values.size();
  }
  all.keys.reserve(keys);
  all.values.reserve(values);
  for (SparseScores& list : lists) {
    all.keys.insert(all.keys.end(), list.keys.begin(), list.keys.end());
    all.values.insert(all.values.end(), list.values.begin(), list.values.end());
    list = SparseScores{};
  }
  return all;
}

/// Σ |x| over [pos, neuron].
double magnitude(const at::Tensor& x) { return sum_by_position(x.abs()).item<double>(); }

}  // namespace

TaskScores::TaskScores(const Task& task, std::int64_t pairs, std::int64_t length)
    : task_(task), pairs_(pairs), length_(length) {}

bool TaskScores::audited(std::int64_t pair) const {
  const std::vector<char>& audit = task_.options.audit;
  return !audit.empty() && audit.at(static_cast<std::size_t>(first_ + pair)) != 0;
}

std::vector<char> TaskScores::gap_pairs(std::int64_t count) const {
  const std::vector<char>& all = task_.options.gap;
  if (all.empty()) return std::vector<char>(static_cast<std::size_t>(count), 0);
  return {all.begin() + first_, all.begin() + first_ + count};
}

void TaskScores::add(const at::Tensor& scores) {
  if (method().score != ScoreKind::exact) expect_finite(sums_that_tell(scores));
  at::Tensor s = scores;
  if (method().positions == Positions::sum && s.size(2) != 1)
    s = sum_over_positions(wide(s));  // [pair, layer, 1, neuron]
  const PairParts parts{
      method().aggregate == Aggregate::mean_abs ? PairParts::Value::magnitude : PairParts::Value::score,
      measures_spread() ? PairParts::Tables::spread : PairParts::Tables::sum};
  const std::int64_t positions = method().positions == Positions::keep ? length_ : s.size(2);
  for (std::int64_t pair = 0; pair < s.size(0); ++pair) {
    tree_.add({[&, pair] { return parts_of(s[pair], parts, positions); },
               [&, pair](const at::Tensor& left) { add_parts(s[pair], parts, left); }});
  }
  if (!method().has_neurons() || (options().sampled.empty() && options().keep.what == Keep::What::sums)) return;
  s = wide(s);
  if (parts.value == PairParts::Value::magnitude) s = s.abs();
  const bool of_these = !options().sampled.empty() && options().sampled.front().kind == nodes().kind;
  if (of_these) sampled_.push_back(sampled_of(s, options(), positions));
  if (options().keep.what != Keep::What::sums) kept_.push_back(kept_of(s, options(), positions));
}

void TaskScores::add_sparse(std::size_t dictionary, std::vector<SparseScores> pairs) {
  if (sparse_.size() <= dictionary) sparse_.resize(dictionary + 1);
  const bool samples = !options().sampled.empty() && options().sampled.front().kind == NodeKind::features;
  const bool keeps = options().keep.what != Keep::What::sums;
  if (samples && !out_.sampled.defined()) {
    out_.sampled = at::zeros({pairs_, std::ssize(options().sampled)}, at::kDouble);
  }
  if (keeps) kept_features_.resize(static_cast<std::size_t>(pairs_));
  share_loop(std::ssize(pairs), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t pair = first; pair < end; ++pair) {
      SparseScores& scores = pairs[static_cast<std::size_t>(pair)];
      if (method().aggregate == Aggregate::mean_abs) {
        for (double& score : scores.values) score = std::abs(score);
      }
      if (samples) store_sampled(first_ + pair, static_cast<std::int64_t>(dictionary), scores);
      if (keeps) keep_features(first_ + pair, scores);
      if (measures_spread()) scores = with_spread(std::move(scores));
    }
  });
  sparse_[dictionary].add(std::move(pairs));
}

void TaskScores::store_sampled(std::int64_t pair, std::int64_t dictionary, const SparseScores& scores) {
  auto* const row = out_.sampled.mutable_data_ptr<double>() + pair * std::ssize(options().sampled);
  write_sampled(scores, task(), dictionary, method().positions == Positions::keep ? length_ : 1, row);
}

void TaskScores::keep_features(std::int64_t pair, const SparseScores& scores) {
  SparseScores& kept = kept_features_[static_cast<std::size_t>(pair)];
  kept.keys.insert(kept.keys.end(), scores.keys.begin(), scores.keys.end());
  kept.values.insert(kept.values.end(), scores.values.begin(), scores.values.end());
}

void TaskScores::store(const Differences& differences) {
  at::Tensor& where = differences.kind == Differences::Kind::residual ? out_.residual : out_.gap;
  if (!where.defined()) where = at::full({pairs_, differences.table.size(1)}, not_a_number, at::kDouble);
  where.narrow(0, first_, differences.table.size(0)).copy_(differences.table);
}

void TaskScores::store_evaluations(std::int64_t pair, std::int64_t l, std::int64_t count, int evaluations) {
  if (!out_.evaluations.defined()) out_.evaluations = at::zeros({pairs_, layers()}, at::kDouble);
  fill_layers(out_.evaluations, pair, l, count, evaluations);
}

void TaskScores::store_integral(std::int64_t pair, std::int64_t l, std::int64_t count, const PathIntegral& integral) {
  store_evaluations(pair, l, count, integral.evaluations);
  if (method().quadrature != Quadrature::adaptive) return;
  if (!out_.converged.defined()) out_.converged = at::ones({pairs_, layers()}, at::kDouble);
  fill_layers(out_.converged, pair, l, count, integral.converged ? 1 : 0);
}

void TaskScores::fill_layers(const at::Tensor& table, std::int64_t pair, std::int64_t l, std::int64_t count,
                             double value) const {
  double* row = table.mutable_data_ptr<double>() + (first_ + pair) * layers() + l;
  std::fill(row, row + count, value);
}

void TaskScores::store_audit(std::int64_t pair, std::int64_t l, const at::Tensor& scores, const at::Tensor& finer) {
  if (!out_.audit.defined()) out_.audit = at::full({pairs_, layers()}, not_a_number, at::kDouble);
  const at::Tensor reference = finer.to(at::kDouble);
  out_.audit[first_ + pair][l] = magnitude(scores.to(at::kDouble) - reference) / magnitude(reference);
}

void TaskScores::store_inputs(const at::Tensor& tokens) {
  if (!out_.inputs.defined()) out_.inputs = at::zeros({pairs_, length_}, at::kDouble);
  out_.inputs.narrow(0, first_, tokens.size(0)).narrow(1, length_ - tokens.size(1), tokens.size(1)).copy_(tokens);
}

UnitScores TaskScores::finish(const at::Tensor& metric) {
  UnitScores out = out_;
  out.metric = metric;
  if (layers() == 0) {  // another unit has its nodes
    out.scores = at::zeros({0}, at::kDouble);
    return out;
  }
  if (!out.evaluations.defined()) out.evaluations = at::zeros({pairs_, layers()}, at::kDouble);
  if (!sampled_.empty()) out.sampled = at::cat(sampled_);
  if (!kept_.empty()) out.kept = at::cat(kept_);
  if (!kept_features_.empty()) out.kept_features = kept_features_of(kept_features_, options().keep);
  const at::Tensor faults = at::cat(sums_).cpu().isfinite().logical_not();
  if (faults.any().item<bool>()) out.faults = faults.to(at::kDouble);
  std::vector<SparseScores> lists;
  for (SparseTree& tree : sparse_) lists.push_back(tree.take_sum());
  out.sparse = joined(std::move(lists));
  const at::Tensor sums = tree_.sum().cpu();
  if (!measures_spread()) {
    out.scores = sums;
    return out;
  }
  out.scores = sums[0];
  out.squares = sums[1];
  out.signs = sums[2];
  return out;
}

namespace {

/// The points of a sweep, and how its intervals are summed.
SweepPlan points_of(const Method& method, Quadrature rule, int steps) {
  if (method.score != ScoreKind::conductance) return {nodes_of(rule, steps), IntervalGradient::mean};
  if (method.form == ConductanceForm::captum) return captum_sweep(rule, steps);
  SweepPlan plan = interval_sweep(rule, steps);
  if (method.baseline == Baseline::zero) {
    plan.nodes.alpha.erase(plan.nodes.alpha.begin());
    plan.nodes.weight.erase(plan.nodes.weight.begin());
  }
  return plan;
}

/// Weights of a mean gradient that are Captum's conductance of what moves evenly along the path: each point's gradient
/// times the step to the next one.
void weigh_by_next_steps(SweepPlan& plan) {
  std::vector<double>& weight = plan.nodes.weight;
  const std::vector<double>& alpha = plan.nodes.alpha;
  for (std::size_t i = 0; i + 1 < alpha.size(); ++i) weight[i] = alpha[i + 1] - alpha[i];
  weight.back() = 0;
}

/// Takes what the interval before the first point adds to its weight out of it: n intervals of which n - 1 are left.
void leave_first_interval(SweepPlan& plan) {
  const double interval = 1.0 / static_cast<double>(plan.nodes.alpha.size());
  if (plan.interval == IntervalGradient::mean) plan.nodes.weight.front() -= interval / 2;
  if (plan.interval == IntervalGradient::right) plan.nodes.weight.front() -= interval;
}

/// A plan whose weights are those of conductance, where it is a sum of gradients: of embeddings, which move evenly.
SweepPlan with_conductance_weights(SweepPlan plan, const Task& task, ConductanceForm form) {
  if (task.method.score != ScoreKind::conductance || task.options.nodes.site != Site::embeddings) return plan;
  if (form == ConductanceForm::captum) {
    weigh_by_next_steps(plan);
  } else if (task.method.baseline == Baseline::zero) {
    leave_first_interval(plan);
  }
  return plan;
}

}  // namespace

SweepPlan sweep_of(const Method& method, Quadrature rule, int steps) {
  SweepPlan plan = points_of(method, rule, steps);
  plan.gradients = method.score == ScoreKind::delta;
  plan.conductance = method.score == ScoreKind::conductance;
  return plan;
}

SweepPlan candidate_plan(const Method& method, RulePoints candidate) {
  return method.score == ScoreKind::conductance ? sweep_of(method, Quadrature::trapezoid, candidate.points - 1)
                                                : sweep_of(method, candidate.rule, candidate.points);
}

SweepPlan plan_of(const Task& task, std::int64_t l) {
  const Method& method = task.method;
  if (method.quadrature != Quadrature::pilot) {
    return with_conductance_weights(sweep_of(method, *method.quadrature, method.steps), task, method.form);
  }
  const auto place = static_cast<std::size_t>(moves_embeddings(task) ? 0 : task.options.layers.first + l);
  return candidate_plan(method, task.options.layer_rules.at(place));
}

SweepPlan audit_plan(const Task& task, int used) {
  const Method& method = task.method;
  // Gauss-Legendre converges faster than any other rule. A rule that is off by c/n would be off by c/2n with twice the
  // points, and judged by that show half of its error: the others are judged by the trapezoid.
  const bool conductance = method.score == ScoreKind::conductance;
  if (method.quadrature == Quadrature::gauss_legendre && !conductance) {
    return sweep_of(method, *method.quadrature, 2 * method.steps);
  }
  Method standard = method;  // Captum's conductance is off by c/n whatever its rule
  standard.form = ConductanceForm::standard;
  const int points = std::max({2 * used - 1, 2 * method.steps + 1, audit_points});
  return with_conductance_weights(candidate_plan(standard, {Quadrature::trapezoid, points}), task, standard.form);
}

AdaptiveOptions adaptive_options(const Task& task) {
  using Agreement = AdaptiveOptions::Agreement;
  using Residual = AdaptiveOptions::Residual;
  return {task.method.tolerance, task.method.max_points,
          sums_conductance(task) ? Agreement::conductance : Agreement::sum,
          task.method.has_identity() ? Residual::required : Residual::ignored};
}

bool moves_embeddings(const Task& task) {
  const PathKind path = task.method.path;
  return path == PathKind::embeddings || (path == PathKind::activations && task.options.nodes.site == Site::embeddings);
}

bool sums_conductance(const Task& task) {
  return task.method.score == ScoreKind::conductance && task.options.nodes.site != Site::embeddings;
}

}  // namespace tributary::detail
