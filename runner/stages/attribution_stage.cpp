// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/attribution_stage.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "attribution/circuit/ablation.h"
#include "attribution/methods/spread.h"
#include "common/errors.h"
#include "runner/cluster/stopping.h"
#include "runner/job/prompts.h"
#include "runner/stages/attribution_results.h"
#include "runner/stages/feature_means.h"
#include "runner/stages/not_finite.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

/// Tries the candidate rules on a few pairs, and fills in each layer's cheapest one that met the tolerance on all of
/// them, for one kind of nodes.
void run_pilot(const Execution& execution, PreparedRun& run, std::size_t kind, KindOutcome& outcome) {
  const Job& job = *run.job;
  const StagePlan plan = plan_pilot(job);
  const Networks exact{job.exact.get(), job.exact.get()};  // in float32: residuals of bfloat16 are noise
  // An embedding path moves all layers together, so one rule serves them.
  const NodeTable& table = run.options[kind].nodes;
  const std::int64_t layers = job.config.method.path == PathKind::embeddings ? 1 : table.layers;
  const StageResult result = run_plan(execution, "pilot", plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, job.pairs.train, chunk.members);
    const PilotChoices found = pilot(exact, run.task(kind, chunk), prompts, UnitOptions{execution.batching()});
    RowWriter rows(0);
    rows.add(found.candidate);
    rows.add(found.ratio);
    return UnitResult{{}, rows.take()};
  });
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(layers), 0);
  outcome.pilot_ratio.assign(chosen.size(), 0);
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const std::int64_t pairs = std::ssize(plan.chunks[unit].members);
    RowReader reader(result.rows[unit], pairs, 1);
    const std::vector<std::vector<double>> candidates = reader.next();  // [pair][layer]
    const std::vector<std::vector<double>> ratios = reader.next();
    for (std::size_t pair = 0; pair < candidates.size(); ++pair) {
      for (std::size_t l = 0; l < chosen.size(); ++l) {
        chosen[l] = std::max(chosen[l], static_cast<std::int64_t>(candidates[pair][l]));
        outcome.pilot_ratio[l] = std::max(outcome.pilot_ratio[l], ratios[pair][l]);
      }
    }
  }
  execution.comm.broadcast(chosen);
  for (const std::int64_t choice : chosen) {
    const RulePoints& candidate = pilot_candidates().at(static_cast<std::size_t>(choice));
    run.options[kind].layer_rules.push_back(candidate);
    outcome.pilot.push_back(name_of(candidate.rule) + " " + std::to_string(candidate.points));
  }
}

/// By training pair: 1 for `count` seeded ones; empty where none is.
std::vector<char> seeded_marks(const Job& job, std::int64_t count) {
  std::vector<char> marks;
  const auto pairs = static_cast<std::int64_t>(job.pairs.train.size());
  for (const std::int64_t member : seeded_members(pairs, count, job.config.seed)) {
    marks.resize(job.pairs.train.size(), 0);
    marks[static_cast<std::size_t>(member)] = 1;
  }
  return marks;
}

/// What attribution.file says of one kind of nodes [layer, pos or 1, node].
at::Tensor imported_of(const Job& job, const NodeLayout& layout, std::size_t kind) {
  at::Tensor scores = at::empty(layout.shape(kind), at::kFloat);
  std::copy_n(job.imported.scores.begin() + layout.first(kind), layout.nodes(kind), scores.mutable_data_ptr<float>());
  return scores;
}

PreparedRun prepare(const Execution& execution, const Job& job, AttributionOutcome& outcome) {
  PreparedRun run{&job, {}, {}, {}, {}};
  const NodeLayout& layout = outcome.layout;
  for (std::size_t kind = 0; kind < layout.kinds(); ++kind) {
    TaskOptions& options = run.options.emplace_back();
    options.nodes = layout.tables()[kind];
    if (options.nodes.kind == NodeKind::errors) options.dictionaries = job.dictionaries;
    options.seed = job.config.seed;
    options.keep = job.config.keep;
    options.spread = job.config.spread;
    if (job.config.method.score == ScoreKind::imported) {
      options.given = imported_of(job, layout, kind);
      options.given_features = &job.imported.features;
    }
    if (job.config.method.score == ScoreKind::exact) {
      options.sample =
          sample_nodes(options.nodes, layout.positions(), job.sample_of(layout, kind), job.config.seed, layout.kept());
    }
  }
  if (job.config.method.baseline == Baseline::mean) run.means = baseline_means(execution, job);
  for (std::size_t kind = 0; kind < layout.kinds(); ++kind) {
    if (job.config.method.quadrature != Quadrature::pilot || layout.tables()[kind].is_list()) continue;
    Execution alone = execution;
    if (kind > 0) alone.scope += " of " + name_of(layout.tables()[kind].kind);
    run_pilot(alone, run, kind, outcome.kinds[kind]);
  }
  run.audited = seeded_marks(job, job.config.audit);
  run.measured = seeded_marks(job, job.gap_pairs());
  return run;
}

/// [layer, pos, width] of what is averaged, in the order of sum_activations.
std::map<Site, std::vector<std::int64_t>> shapes_of(const Job& job, std::vector<NodeTable> tables,
                                                    std::int64_t length) {
  tables.push_back(node_table(NodeKind::embeddings, job.architecture()));
  std::map<Site, std::vector<std::int64_t>> shapes;
  for (const NodeTable& table : tables) shapes[table.site] = {table.layers, length, table.width()};
  return shapes;
}

}  // namespace

namespace {

/// Has the means of what stands where features write among those of sites; the other layers' of such a site are not
/// read.
void add_written(MeanState& means, const FeatureValues& features, std::int64_t layers) {
  std::map<Site, at::Tensor> sites;
  for (const auto& [place, mean] : features.written) {  // [1, pos, width]
    const auto& [site, layer] = place;
    if (means.contains(site)) continue;
    at::Tensor& all = sites[site];
    if (!all.defined()) all = at::zeros({layers, mean.size(1), mean.size(2)}, means.at(Site::embeddings).options());
    all.select(0, layer).copy_(mean[0]);
  }
  means.merge(sites);
}

}  // namespace

void BaselineMeans::give(TaskOptions& options, std::int64_t length) const {
  if (const auto mean = values.find(length); mean != values.end()) options.mean = mean->second;
  if (const auto mean = features.find(length); mean != features.end()) options.feature_mean = mean->second;
}

BaselineMeans baseline_means(const Execution& execution, const Job& job) {
  std::vector<TokenPair> prompts = job.pairs.train;
  if (!job.baseline_prompts.empty()) {
    prompts.clear();
    for (const std::vector<std::int64_t>& ids : job.baseline_prompts) {
      TokenPair prompt;
      prompt.clean = ids;
      prompt.counterfactual = ids;
      prompts.push_back(prompt);
    }
  }
  BaselineMeans means{run_means(execution, job, "baseline means", prompts)};
  if (!job.dictionaries) return means;
  means.features = run_feature_means(execution, job, "baseline means of features", prompts);
  for (const auto& [length, features] : means.features) {
    add_written(means.values.at(length), *features, job.architecture().layers());
  }
  return means;
}

std::map<std::int64_t, MeanState> run_means(const Execution& execution, const Job& job, const std::string& name,
                                            const std::vector<TokenPair>& pairs) {
  const StagePlan plan = plan_lengths(job, pairs);
  std::vector<NodeTable> tables = job.layout().tables();
  std::erase_if(tables, [](const NodeTable& table) {  // those of features are sparse (feature_means.h)
    return of_dictionaries(table.kind);
  });
  StageResult result = run_plan(execution, name, plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, pairs, chunk.members);
    const at::Tensor& ids = prompts.counterfactual.defined() ? prompts.counterfactual : prompts.clean;
    const std::map<Site, at::Tensor> sums = sum_activations(*job.working, ids, tables, execution.batching());
    std::vector<double> numbers;
    for (const auto& [site, sum] : sums) append_numbers(numbers, sum);
    return UnitResult{std::move(numbers), {}};
  });
  std::map<std::int64_t, MeanState> means;
  std::size_t lane = 0;
  result.sums.resize(buckets_of(pairs).size());
  for (const Bucket& bucket : buckets_of(pairs)) {
    std::vector<double>& sum = result.sums[lane++];
    for (double& value : sum) value /= static_cast<double>(bucket.members.size());
    execution.comm.broadcast(sum);
    auto next = sum.begin();
    for (const auto& [site, shape] : shapes_of(job, tables, bucket.length)) {
      const auto end = next + static_cast<std::ptrdiff_t>(shape[0] * shape[1] * shape[2]);
      means[bucket.length][site] = tensor_of({next, end}, shape, job.working->score_type()).to(job.device);
      next = end;
    }
  }
  return means;
}

Task PreparedRun::task(std::size_t kind, const Chunk& chunk) const {
  Task task{job->config.method, options[kind]};
  task.options.layers = task.options.nodes.within(chunk.layers);
  const std::int64_t length = job->pairs.train[static_cast<std::size_t>(chunk.members.front())].length();
  means.give(task.options, length);
  for (const std::int64_t member : chunk.members) {
    if (!audited.empty()) task.options.audit.push_back(audited[static_cast<std::size_t>(member)]);
    if (!measured.empty()) task.options.gap.push_back(measured[static_cast<std::size_t>(member)]);
  }
  return task;
}

std::vector<AttributionOutcome> run_attribution(const Execution& execution, const RunGroup& group) {
  std::vector<AttributionOutcome> outcomes(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    Execution alone = execution;
    alone.scope = " of run " + std::to_string(i);
    outcomes[i].layout = group[i]->layout();
    outcomes[i].kinds.resize(outcomes[i].layout.kinds());
    outcomes[i].prepared = prepare(alone, *group[i], outcomes[i]);
    outcomes[i].failure = faults_of(outcomes[i].prepared.means.values, "baseline means");
  }
  const Job& first = *group.front();
  const StagePlan plan = plan_attribution(group);
  StageResult result = run_plan(execution, "attribution", plan, [&](const Chunk& chunk) {
    std::vector<Task> tasks;
    for (const auto& [run, kind] : tasks_of(outcomes)) tasks.push_back(outcomes[run].prepared.task(kind, chunk));
    const UnitOutcome unit = attribute(first.networks(), tasks, prompts_of(first, first.pairs.train, chunk.members),
                                       UnitOptions{execution.batching()});
    return unit_result(unit, group, outcomes);
  });

  share_out(execution, group, plan, result, outcomes);
  for (std::size_t run = 0; run < outcomes.size() && execution.comm.rank() == 0; ++run) {
    if (outcomes[run].failure.empty()) outcomes[run].failure = faults_of(*group[run], outcomes[run]);
  }
  return outcomes;
}

}  // namespace tributary
