// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/tensors.h"

#include <optional>
#include <utility>

#include "attribution/methods/detail/feature_task.h"
#include "attribution/methods/detail/node_scores.h"
#include "attribution/methods/detail/pilot_choice.h"
#include "attribution/methods/detail/task_scores.h"
#include "attribution/model/detail/staging.h"
#include "common/errors.h"

namespace tributary::detail {
namespace {

/// Where an embedding path begins. The pair's own baseline is the counterfactual run; others are run for it.
struct Start {
  at::Tensor embeddings;  // [pair, suffix, d_model] alpha = 0
  std::int64_t group;     // of the runs, or not_run
  std::optional<BaseRuns> ran,
      exact;  // the state that end-point differences are taken from, where they are not among the base runs

  [[nodiscard]] at::Tensor values(const MicroBatch& micro, Site site, std::int64_t layer) const {
    return ran ? ran->values(site, 0, layer) : micro.working().values(site, group, layer);
  }
  /// m(clean) - m(start) of the exact network [pair], float64.
  [[nodiscard]] at::Tensor metric_difference(const MicroBatch& micro) const {
    const at::Tensor metric = exact ? exact->metric(0) : micro.exact().metric(group);
    return (micro.exact().metric(clean_group).to(at::kDouble) - metric.to(at::kDouble)).cpu();
  }
};

Start start_of(const MicroBatch& micro, const Task& task) {
  const at::Tensor& end = micro.working().embeddings(clean_group);
  if (task.method.baseline == Baseline::pair) {
    return {micro.working().embeddings(counterfactual_group), counterfactual_group, {}, {}};
  }
  // zero: the neuron end point is v at the smallest alpha evaluated, and alpha = 0 never is (docs/methods.md).
  const bool zero = task.method.baseline == Baseline::zero;
  const at::Tensor alpha_zero =
      zero ? at::zeros_like(end) : task.options.mean.at(Site::embeddings).expand_as(end).to(end.scalar_type());
  const at::Tensor first = zero ? end * plan_of(task, 0).nodes.alpha.front() : alpha_zero;
  Start start{alpha_zero, EmbeddingPath::not_run, {}, {}};
  start.ran.emplace(micro.working().model(), std::vector<at::Tensor>{first}, 0, micro.working().directions(),
                    micro.working().sites(), micro.flops());
  start.exact.emplace(micro.exact().model(), std::vector<at::Tensor>{first.to(micro.exact().model().score_type())}, 0,
                      micro.exact().directions(), Sites{}, micro.flops());
  return start;
}

EmbeddingTaps taps_of(const std::vector<TaskScores*>& tasks, const Architecture& architecture) {
  std::vector<NodeTable> tables;
  EmbeddingTaps::What what = EmbeddingTaps::What::gradients;
  for (const TaskScores* task : tasks) {
    if (task->method().score == ScoreKind::input) continue;
    if (scores_features(task->task())) {
      for (const NodeTable& site : feature_sites(task->task(), architecture)) tables.push_back(site);
      continue;
    }
    tables.push_back(task->nodes());
    if (task->method().score == ScoreKind::conductance) what = EmbeddingTaps::What::values_and_gradients;
  }
  return {tables, what};
}

/// Integrals of consecutive pairs of the micro.
struct SweptPairs {
  std::int64_t first;
  const std::vector<PathIntegral>& integrals;

  /// These pairs' part of a tensor [pair, …].
  [[nodiscard]] at::Tensor part(const at::Tensor& by_pair) const {
    return by_pair.narrow(0, first, static_cast<std::int64_t>(integrals.size()));
  }
};

/// Input IG per token [pair, pos] from mean input gradients.
at::Tensor token_scores(const MicroBatch& micro, const Start& start, const SweptPairs& swept) {
  std::vector<at::Tensor> gradients;
  for (const PathIntegral& integral : swept.integrals) gradients.push_back(integral.input_gradient);
  const at::Tensor moved = swept.part(micro.working().embeddings(clean_group)) - swept.part(start.embeddings);
  return (moved * at::stack(gradients)).sum(-1);
}

/// Scores [pair, layer, pos, node]; [pair, 1, pos, 1] of tokens, whose conductance is what input IG is: their path is
/// the embeddings' own.
at::Tensor sweep_scores(const MicroBatch& micro, const Start& start, const EmbeddingTaps& taps, const TaskScores& task,
                        const SweptPairs& swept) {
  const Site site = task.nodes().site;
  if (task.method().score == ScoreKind::input || site == Site::embeddings) {
    return token_scores(micro, start, swept).unsqueeze(1).unsqueeze(3);
  }
  std::vector<at::Tensor> by_pair;
  const LayerRange& layers = task.options().layers;
  const bool conductance = task.method().score == ScoreKind::conductance;
  for (const PathIntegral& integral : swept.integrals) {
    const at::Tensor& all = conductance ? integral.conductance : integral.gradient;
    by_pair.push_back(taps.columns(all, site).narrow(0, layers.first, layers.count()));
  }
  const at::Tensor integrals = at::stack(by_pair);  // [pair, layer, suffix, width]
  if (conductance) return node_sums(integrals, task.nodes());
  std::vector<std::int64_t> shape = integrals.sizes().vec();
  shape.back() = task.nodes().nodes;
  // Neurons have a number each: their scores take the place of their gradients.
  at::Tensor scores = task.nodes().dims == 1 ? integrals : at::zeros(shape, integrals.options());
  for (std::int64_t l = 0; l < layers.count(); ++l) {
    const at::Tensor clean = swept.part(micro.working().values(site, clean_group, layers.first + l));
    const at::Tensor baseline = swept.part(start.values(micro, site, layers.first + l));
    const at::Tensor change = clean.to(scores.scalar_type()) - baseline.to(scores.scalar_type());
    const at::Tensor gradient = integrals.select(1, l);  // [pair, suffix, width]
    write_products(scores.select(1, l), change, gradient.narrow(1, gradient.size(1) - change.size(1), change.size(1)),
                   task.nodes());
  }
  return scores;
}

/// Scores of features from mean gradients [layer, suffix, column] of each pair.
void add_swept_features(const MicroBatch& micro, const EmbeddingTaps& taps, TaskScores& task,
                        const std::vector<PathIntegral>& integrals) {
  add_features(micro, task, [&](Site site, std::int64_t layer) {
    std::vector<at::Tensor> by_pair;
    for (const PathIntegral& integral : integrals) by_pair.push_back(taps.columns(integral.gradient, site)[layer]);
    return at::stack(by_pair);
  });
}

void finish(const MicroBatch& micro, const Start& start, const EmbeddingPath& path, TaskScores& task,
            const std::vector<PathIntegral>& integrals) {
  const at::Tensor tokens = token_scores(micro, start, {0, integrals});
  at::Tensor scores;
  if (scores_features(task.task())) {
    add_swept_features(micro, path.taps(), task, integrals);
  } else {
    scores = sweep_scores(micro, start, path.taps(), task, {0, integrals});
    task.add(scores);
  }
  task.store_inputs(tokens.to(at::kDouble).cpu());
  task.store({difference_kind(task.method()),
              (sum_by_position(tokens.unsqueeze(-1)).cpu() - start.metric_difference(micro)).unsqueeze(1)});
  for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) {
    const PathIntegral& integral = integrals[static_cast<std::size_t>(pair)];
    task.store_integral(pair, 0, task.layers(), integral);
    if (!task.audited(pair) || !scores.defined()) continue;
    const std::vector<PathIntegral> twice = integrate(path, {pair}, audit_plan(task.task(), integral.evaluations));
    const at::Tensor finer = sweep_scores(micro, start, path.taps(), task, {pair, twice});
    for (std::int64_t l = 0; l < task.layers(); ++l) {
      const std::int64_t row = scores.size(1) == 1 ? 0 : l;
      task.store_audit(pair, l, scores[pair][row], finer[0][row]);
    }
  }
}

std::vector<std::int64_t> all_pairs(const MicroBatch& micro) {
  std::vector<std::int64_t> examples;
  for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) examples.push_back(pair);
  return examples;
}

}  // namespace

bool share_sweep(const TaskScores& a, const TaskScores& b) {
  const Method& x = a.method();
  const Method& y = b.method();
  return moves_embeddings(a.task()) && moves_embeddings(b.task()) && x.rules == y.rules &&
         x.baseline == Baseline::pair && y.baseline == Baseline::pair && x.quadrature != Quadrature::adaptive &&
         y.quadrature != Quadrature::adaptive;
}

void run_embedding_tasks(const MicroBatch& micro, const std::vector<TaskScores*>& tasks) {
  TaskScores& first = *tasks.front();
  const Start start = start_of(micro, first.task());
  const EmbeddingPath path(micro.working(), clean_group, start.embeddings, start.group, first.method().rules,
                           taps_of(tasks, micro.working().model().architecture()), micro.batching(), micro.flops());
  if (first.method().quadrature == Quadrature::adaptive) {
    std::vector<AdaptiveGoal> goals;
    for (const std::int64_t pair : all_pairs(micro)) goals.push_back(micro.goal_of(pair, first.method()));
    AdaptiveOptions options = adaptive_options(first.task());
    // What is held of samples stays within the rows of a network call, or is one pair's.
    if (options.agreement == AdaptiveOptions::Agreement::conductance) {
      options.together = micro.batching().sequences(samples_held(options.max_points) * micro.suffix());
    }
    finish(micro, start, path, first, integrate_adaptive(path, goals, options));
    return;
  }
  std::vector<SweepPlan> plans;
  for (const TaskScores* task : tasks) plans.push_back(plan_of(task->task(), 0));
  const std::vector<std::vector<PathIntegral>> integrals = integrate(path, all_pairs(micro), plans);
  for (std::size_t i = 0; i < tasks.size(); ++i) finish(micro, start, path, *tasks[i], integrals[i]);
}

PilotChoices embedding_pilot(const MicroBatch& micro, const Task& task) {
  const Start start = start_of(micro, task);
  const bool conductance = sums_conductance(task);
  const EmbeddingTaps taps =
      conductance ? EmbeddingTaps({task.options.nodes}, EmbeddingTaps::What::values_and_gradients) : EmbeddingTaps();
  const EmbeddingPath path(micro.working(), clean_group, start.embeddings, start.group, task.method.rules, taps,
                           micro.batching(), micro.flops());
  const auto pause = [&micro] { micro.pause(); };
  if (conductance) {
    const auto examples = static_cast<std::size_t>(micro.pairs());
    return tables_of(cheapest_conductance(path, task.method, examples, pause), micro.pairs());
  }
  const at::Tensor differences = start.metric_difference(micro);
  std::vector<PilotGoal> goals;
  for (const std::int64_t pair : all_pairs(micro)) {
    goals.push_back({differences.const_data_ptr<double>()[pair], micro.floor_of(pair, task.method.tolerance)});
  }
  return tables_of(cheapest_candidates(path, task.method, goals, pause), micro.pairs());
}

}  // namespace tributary::detail
