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
#include "runner/stages/not_finite.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

/// What the columns of a table stand for: a unit of some layers fills only its own.
enum class Columns {
  pair,     // of the whole pair
  layers,   // a layer each, or one for the whole pair
  nodes,    // a node each
  largest,  // the largest nodes: those of all layers compete
};

struct TableSpec {
  PairTable AttributionOutcome::*table;
  at::Tensor UnitScores::*unit;
  Columns columns;
};

/// In the order in which units write them.
std::vector<TableSpec> tables_of(const Job& job) {
  return {
      {&AttributionOutcome::metric, &UnitScores::metric, Columns::pair},
      {&AttributionOutcome::residual, &UnitScores::residual, Columns::layers},
      {&AttributionOutcome::gap, &UnitScores::gap, Columns::layers},
      {&AttributionOutcome::evaluations, &UnitScores::evaluations, Columns::layers},
      {&AttributionOutcome::converged, &UnitScores::converged, Columns::layers},
      {&AttributionOutcome::audit, &UnitScores::audit, Columns::layers},
      {&AttributionOutcome::faults, &UnitScores::faults, Columns::layers},
      {&AttributionOutcome::inputs, &UnitScores::inputs, Columns::pair},
      {&AttributionOutcome::kept, &UnitScores::kept,
       job.config.keep.what == Keep::What::all ? Columns::nodes : Columns::largest},
  };
}

/// Nodes and scores in turn, of two ranges of layers: the largest of both, equal ones by node.
std::vector<double> merge_largest(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<std::pair<double, double>> all;  // score, node
  for (const std::vector<double>* row : {&a, &b}) {
    for (std::size_t i = 0; i + 1 < row->size(); i += 2) {
      if ((*row)[i] >= 0) all.emplace_back((*row)[i + 1], (*row)[i]);
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& x, const auto& y) {
    return std::abs(x.first) != std::abs(y.first) ? std::abs(x.first) > std::abs(y.first) : x.second < y.second;
  });
  std::vector<double> merged(std::max(a.size(), b.size()), -1);
  for (std::size_t i = 0; i < all.size() && 2 * i + 1 < merged.size(); ++i) {
    merged[2 * i] = all[i].second;
    merged[2 * i + 1] = all[i].first;
  }
  return merged;
}

/// Where a unit's columns begin in a row of the whole model, and how long that row is.
std::pair<std::int64_t, std::int64_t> place_of(Columns columns, std::size_t unit_columns, const Chunk& chunk,
                                               const Job& job) {
  const Architecture& a = job.architecture();
  switch (columns) {
    case Columns::layers:
      if (static_cast<std::int64_t>(unit_columns) != chunk.layers.count()) break;  // one column for the whole pair
      return {chunk.layers.first, a.layers()};
    case Columns::nodes:
      return {chunk.layers.first * job.node_positions() * a.neurons, a.layers() * job.node_positions() * a.neurons};
    case Columns::pair:
    case Columns::largest:
      break;
  }
  return {0, static_cast<std::int64_t>(unit_columns)};
}

void store_rows(PairTable& table, const std::vector<std::vector<double>>& rows, Columns columns, const Chunk& chunk,
                const Job& job) {
  if (rows.empty()) return;
  table.rows.resize(job.pairs.train.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<double>& row = table.rows[static_cast<std::size_t>(chunk.members[i])];
    if (columns == Columns::largest) {
      row = merge_largest(row, rows[i]);
      continue;
    }
    const auto [first, length] = place_of(columns, rows[i].size(), chunk, job);
    row.resize(static_cast<std::size_t>(length));
    std::copy(rows[i].begin(), rows[i].end(), row.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

/// Elements of a unit's scores.
std::int64_t elements_of(const Job& job, const LayerRange& layers) {
  return job.config.method.has_neurons() ? layers.count() * job.node_positions() * job.architecture().neurons
                                         : job.node_positions();
}

/// Tries the candidate rules on a few pairs, and fills in each layer's cheapest one that met the tolerance on all of
/// them.
void run_pilot(const Execution& execution, PreparedRun& run, AttributionOutcome& outcome) {
  const Job& job = *run.job;
  const StagePlan plan = plan_pilot(job);
  const Networks exact{job.exact.get(), job.exact.get()};  // in float32: residuals of bfloat16 are noise
  // An embedding path moves all layers together, so one rule serves them.
  const std::int64_t layers = job.config.method.path == PathKind::embeddings ? 1 : job.architecture().layers();
  const StageResult result = run_plan(execution, "pilot", plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, job.pairs.train, chunk.members);
    const PilotChoices found = pilot(exact, run.task(chunk), prompts, UnitOptions{execution.batching()});
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
    run.options.layer_rules.push_back(candidate);
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

PreparedRun prepare(const Execution& execution, const Job& job, AttributionOutcome& outcome) {
  PreparedRun run{&job, {}, {}, {}, {}};
  run.options.seed = job.config.seed;
  run.options.keep = job.config.keep;
  run.options.spread = job.config.spread;
  if (job.config.method.score == ScoreKind::exact) {
    const Architecture& a = job.architecture();
    run.options.sample = sample_neurons(a.layers(), job.node_positions(), a.neurons, job.config.sample, job.config.seed,
                                        job.config.method.positions);
  }
  if (job.config.method.baseline == Baseline::mean) run.means = baseline_means(execution, job);
  if (job.config.method.quadrature == Quadrature::pilot) run_pilot(execution, run, outcome);
  run.audited = seeded_marks(job, job.config.audit);
  run.measured = seeded_marks(job, job.gap_pairs());
  return run;
}

/// What every run sums over the unit's pairs.
std::vector<double> sums_of(const UnitOutcome& unit) {
  std::vector<const at::Tensor*> parts;
  std::int64_t count = 0;
  for (const UnitScores& scores : unit.scores) {
    for (const at::Tensor* part : {&scores.scores, &scores.squares, &scores.signs}) {
      if (!part->defined()) continue;
      parts.push_back(part);
      count += part->numel();
    }
  }
  std::vector<double> sums;
  sums.reserve(static_cast<std::size_t>(count));
  for (const at::Tensor* part : parts) append_numbers(sums, *part);
  return sums;
}

/// A unit's own count, then every run's tables.
std::vector<double> rows_of(const UnitOutcome& unit, const RunGroup& runs) {
  RowWriter rows(unit.flops);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    for (const TableSpec& spec : tables_of(*runs[run])) rows.add(unit.scores[run].*spec.unit);
  }
  return rows.take();
}

/// Adds up the lanes of each layer range (a lane a token length), and gives every run its part.
/// Lanes that have been added are freed.
void share_out_scores(const RunGroup& runs, const StagePlan& plan, StageResult& result,
                      std::vector<AttributionOutcome>& outcomes) {
  if (result.sums.empty()) return;
  std::map<std::int64_t, std::vector<double>> by_range;  // first layer → sum over lengths
  std::map<std::int64_t, LayerRange> ranges;
  std::set<std::int64_t> seen;
  for (std::size_t unit = 0; unit < plan.units.size(); ++unit) {
    const std::int64_t lane = plan.units[unit].lane;
    if (!seen.insert(lane).second) continue;
    const LayerRange& layers = plan.chunks[unit].layers;
    const std::vector<double> sum = std::move(result.sums[static_cast<std::size_t>(lane)]);
    ranges[layers.first] = layers;
    std::vector<double>& all = by_range[layers.first];
    all.resize(sum.size(), 0);
    for (std::size_t i = 0; i < sum.size(); ++i) all[i] += sum[i];
  }
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const auto nodes = static_cast<std::size_t>(elements_of(*runs[run], {0, runs[run]->architecture().layers()}));
    outcomes[run].scores.reserve(nodes);
    if (runs[run]->config.spread != TaskOptions::Spread::measure) continue;
    outcomes[run].standard_error.reserve(nodes);
    outcomes[run].sign_share.reserve(nodes);
  }
  const auto pairs = static_cast<std::int64_t>(runs.front()->pairs.train.size());
  for (const auto& [first, sum] : by_range) {
    auto next = sum.begin();
    for (std::size_t run = 0; run < runs.size(); ++run) {
      const auto nodes = static_cast<std::ptrdiff_t>(elements_of(*runs[run], ranges[first]));
      std::transform(next, next + nodes, std::back_inserter(outcomes[run].scores),
                     [pairs](double value) { return static_cast<float>(value / static_cast<double>(pairs)); });
      if (runs[run]->config.spread == TaskOptions::Spread::measure) {
        for (auto sum_of_node = next; sum_of_node < next + nodes; ++sum_of_node) {
          outcomes[run].standard_error.push_back(
              static_cast<float>(standard_error(*sum_of_node, *(sum_of_node + nodes), pairs)));
          outcomes[run].sign_share.push_back(
              static_cast<float>(sign_share(*sum_of_node, *(sum_of_node + 2 * nodes), pairs)));
        }
      }
      next += nodes * sums_of(runs[run]->config);
    }
  }
}

}  // namespace

std::map<std::int64_t, MeanState> baseline_means(const Execution& execution, const Job& job) {
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
  return run_means(execution, job, "baseline means", prompts);
}

std::map<std::int64_t, MeanState> run_means(const Execution& execution, const Job& job, const std::string& name,
                                            const std::vector<TokenPair>& pairs) {
  const StagePlan plan = plan_lengths(job, pairs);
  const Architecture& a = job.architecture();
  StageResult result = run_plan(execution, name, plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, pairs, chunk.members);
    const at::Tensor& ids = prompts.counterfactual.defined() ? prompts.counterfactual : prompts.clean;
    const ActivationSums sums = sum_activations(*job.working, ids, execution.batching());
    std::vector<double> numbers = numbers_of(sums.embeddings);
    const std::vector<double> activations = numbers_of(sums.activations);
    numbers.insert(numbers.end(), activations.begin(), activations.end());
    return UnitResult{std::move(numbers), {}};
  });
  std::map<std::int64_t, MeanState> means;
  std::size_t lane = 0;
  result.sums.resize(buckets_of(pairs).size());
  for (const Bucket& bucket : buckets_of(pairs)) {
    std::vector<double>& sum = result.sums[lane++];
    for (double& value : sum) value /= static_cast<double>(bucket.members.size());
    execution.comm.broadcast(sum);
    const auto split = sum.begin() + static_cast<std::ptrdiff_t>(bucket.length * a.d_model);
    const at::ScalarType type = job.working->score_type();
    means[bucket.length] = {tensor_of({sum.begin(), split}, {bucket.length, a.d_model}, type).to(job.device),
                            tensor_of({split, sum.end()}, {a.layers(), bucket.length, a.neurons}, type).to(job.device)};
  }
  return means;
}

Task PreparedRun::task(const Chunk& chunk) const {
  Task task{job->config.method, options};
  task.options.layers = chunk.layers;
  const std::int64_t length = job->pairs.train[static_cast<std::size_t>(chunk.members.front())].length();
  if (const auto mean = means.find(length); mean != means.end()) task.options.mean = mean->second;
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
    outcomes[i].prepared = prepare(alone, *group[i], outcomes[i]);
    outcomes[i].failure = faults_of(outcomes[i].prepared.means, "baseline means");
    const Job& job = *group[i];
    const bool neurons = job.config.method.has_neurons();
    outcomes[i].shape = {neurons ? job.architecture().layers() : 1, job.node_positions(),
                         neurons ? job.architecture().neurons : 1};
  }
  const Job& first = *group.front();
  const StagePlan plan = plan_attribution(group);
  StageResult result = run_plan(execution, "attribution", plan, [&](const Chunk& chunk) {
    std::vector<Task> tasks;
    for (const AttributionOutcome& run : outcomes) tasks.push_back(run.prepared.task(chunk));
    const UnitOutcome unit = attribute(first.networks(), tasks, prompts_of(first, first.pairs.train, chunk.members),
                                       UnitOptions{execution.batching()});
    return UnitResult{sums_of(unit), rows_of(unit, group)};
  });

  share_out_scores(group, plan, result, outcomes);
  for (AttributionOutcome& outcome : outcomes) execution.comm.broadcast(outcome.scores);
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    execution.timings.count(result.rows[unit].front());
    const std::vector<double> rows = std::move(result.rows[unit]);  // freed when it has been shared out
    RowReader reader(rows, static_cast<std::int64_t>(chunk.members.size()), 1);
    for (std::size_t run = 0; run < outcomes.size(); ++run) {
      for (const TableSpec& spec : tables_of(*group[run])) {
        store_rows(outcomes[run].*spec.table, reader.next(), spec.columns, chunk, *group[run]);
      }
    }
  }
  for (std::size_t run = 0; run < outcomes.size() && execution.comm.rank() == 0; ++run) {
    if (outcomes[run].failure.empty()) outcomes[run].failure = faults_of(*group[run], outcomes[run]);
  }
  return outcomes;
}

}  // namespace tributary
