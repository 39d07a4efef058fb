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
#include "runner/cluster/sparse_sum.h"
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
  PairTable KindOutcome::*table;
  at::Tensor UnitScores::*unit;
  Columns columns;
};

/// In the order in which units write them.
std::vector<TableSpec> tables_of(const Job& job) {
  return {
      {&KindOutcome::metric, &UnitScores::metric, Columns::pair},
      {&KindOutcome::residual, &UnitScores::residual, Columns::layers},
      {&KindOutcome::gap, &UnitScores::gap, Columns::layers},
      {&KindOutcome::evaluations, &UnitScores::evaluations, Columns::layers},
      {&KindOutcome::converged, &UnitScores::converged, Columns::layers},
      {&KindOutcome::audit, &UnitScores::audit, Columns::layers},
      {&KindOutcome::faults, &UnitScores::faults, Columns::layers},
      {&KindOutcome::inputs, &UnitScores::inputs, Columns::pair},
      {&KindOutcome::kept, &UnitScores::kept,
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
std::pair<std::int64_t, std::int64_t> place_of(Columns columns, std::size_t unit_columns, const LayerRange& layers,
                                               const NodeLayout& layout, std::size_t kind) {
  const NodeTable& table = layout.tables()[kind];
  switch (columns) {
    case Columns::layers:
      if (static_cast<std::int64_t>(unit_columns) != layers.count()) break;  // one column for the whole pair
      return {layers.first, table.layers};
    case Columns::nodes:
      return {layers.first * layout.positions() * table.nodes, layout.nodes(kind)};
    case Columns::pair:
    case Columns::largest:
      break;
  }
  return {0, static_cast<std::int64_t>(unit_columns)};
}

void store_rows(PairTable& table, const std::vector<std::vector<double>>& rows, Columns columns, const Chunk& chunk,
                const Job& job, const NodeLayout& layout, std::size_t kind) {
  if (rows.empty()) return;
  table.rows.resize(job.pairs.train.size());
  const LayerRange layers = layout.tables()[kind].within(chunk.layers);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<double>& row = table.rows[static_cast<std::size_t>(chunk.members[i])];
    if (columns == Columns::largest) {
      row = merge_largest(row, rows[i]);
      continue;
    }
    const auto [first, length] = place_of(columns, rows[i].size(), layers, layout, kind);
    row.resize(static_cast<std::size_t>(length));
    std::copy(rows[i].begin(), rows[i].end(), row.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

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
  std::copy_n(job.imported.begin() + layout.first(kind), layout.nodes(kind), scores.mutable_data_ptr<float>());
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
    if (job.config.method.score == ScoreKind::imported) options.given = imported_of(job, layout, kind);
    if (job.config.method.score == ScoreKind::exact) {
      options.sample = sample_nodes(options.nodes, layout.positions(), job.sample_of(layout, kind), job.config.seed,
                                    layout.kept());
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

/// What every task sums over the unit's pairs.
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

/// Calls body(run, kind) for each task of a unit, in the order of its scores. Features come with their errors' task.
template <typename Body>
void for_each_task(const std::vector<AttributionOutcome>& outcomes, const Body& body) {
  for (std::size_t run = 0; run < outcomes.size(); ++run) {
    for (std::size_t kind = 0; kind < outcomes[run].layout.kinds(); ++kind) {
      if (!outcomes[run].layout.tables()[kind].is_list()) body(run, kind);
    }
  }
}

/// By run, where the keys of its features begin among those of all runs; the end of them last.
std::vector<std::int64_t> keys_of_runs(const RunGroup& runs) {
  std::vector<std::int64_t> firsts{0};
  for (const Job* run : runs) {
    const std::int64_t keys = run->dictionaries ? first_keys(*run->dictionaries, run->node_positions()).back() : 0;
    firsts.push_back(firsts.back() + keys);
  }
  return firsts;
}

/// Every run's sums of features in one list: a number each, or where some run measures the spread three.
SparseSum sparse_sums_of(const UnitOutcome& unit, const RunGroup& runs,
                         const std::vector<AttributionOutcome>& outcomes) {
  SparseSum all;
  for (const UnitScores& scores : unit.scores) {
    if (!scores.sparse.keys.empty()) all.width = std::max(all.width, scores.sparse.width);
  }
  const std::vector<std::int64_t> firsts = keys_of_runs(runs);
  auto scores = unit.scores.begin();
  for_each_task(outcomes, [&](std::size_t run, std::size_t) {
    const SparseScores& own = scores->sparse;
    for (std::size_t i = 0; i < own.keys.size(); ++i) {
      all.keys.push_back(firsts[run] + own.keys[i]);
      for (std::int64_t k = 0; k < all.width; ++k) {
        all.values.push_back(k < own.width ? own.values[i * static_cast<std::size_t>(own.width) + static_cast<std::size_t>(k)]
                                           : 0);
      }
    }
    ++scores;
  });
  return all;
}

/// A unit's own count, then every task's tables.
std::vector<double> rows_of(const UnitOutcome& unit, const RunGroup& runs,
                            const std::vector<AttributionOutcome>& outcomes) {
  RowWriter rows(unit.flops);
  auto scores = unit.scores.begin();
  for_each_task(outcomes, [&](std::size_t run, std::size_t) {
    for (const TableSpec& spec : tables_of(*runs[run])) rows.add(*scores.*spec.unit);
    ++scores;
  });
  return rows.take();
}

/// Adds up the lanes of each layer range (a lane a token length). Lanes that have been added are freed.
std::map<std::int64_t, std::pair<LayerRange, std::vector<double>>> sums_by_range(const StagePlan& plan,
                                                                                 StageResult& result) {
  std::map<std::int64_t, std::pair<LayerRange, std::vector<double>>> by_range;  // first layer → range, sum over lengths
  std::set<std::int64_t> seen;
  for (std::size_t unit = 0; unit < plan.units.size(); ++unit) {
    const std::int64_t lane = plan.units[unit].lane;
    if (!seen.insert(lane).second) continue;
    const LayerRange& layers = plan.chunks[unit].layers;
    const std::vector<double> sum = std::move(result.sums[static_cast<std::size_t>(lane)]);
    auto& [range, all] = by_range[layers.first];
    range = layers;
    all.resize(sum.size(), 0);
    for (std::size_t i = 0; i < sum.size(); ++i) all[i] += sum[i];
  }
  return by_range;
}

/// Gives every run and kind its part of the sums: means over the pairs, at their places.
void share_out_scores(const RunGroup& runs, const StagePlan& plan, StageResult& result,
                      std::vector<AttributionOutcome>& outcomes) {
  if (result.sums.empty()) return;
  const auto by_range = sums_by_range(plan, result);
  const auto measures = [&runs](std::size_t run) {
    return runs[run]->config.spread == TaskOptions::Spread::measure;
  };
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const auto nodes = static_cast<std::size_t>(outcomes[run].layout.nodes());
    outcomes[run].scores.resize(nodes);
    if (!measures(run)) continue;
    outcomes[run].standard_error.resize(nodes);
    outcomes[run].sign_share.resize(nodes);
  }
  const auto pairs = static_cast<std::int64_t>(runs.front()->pairs.train.size());
  for (const auto& [first, ranged] : by_range) {
    const auto& [range, sum] = ranged;
    const double* next = sum.data();
    for_each_task(outcomes, [&](std::size_t run, std::size_t kind) {
      AttributionOutcome& outcome = outcomes[run];
      const NodeLayout& layout = outcome.layout;
      const LayerRange layers = layout.tables()[kind].within(range);
      const std::int64_t in_layer = layout.positions() * layout.tables()[kind].nodes;
      const std::int64_t nodes = layers.count() * in_layer;
      const auto place = static_cast<std::size_t>(layout.first(kind) + layers.first * in_layer);
      for (std::int64_t i = 0; i < nodes; ++i) {
        const std::size_t at = place + static_cast<std::size_t>(i);
        outcome.scores[at] = static_cast<float>(next[i] / static_cast<double>(pairs));
        if (!measures(run)) continue;
        outcome.standard_error[at] = static_cast<float>(standard_error(next[i], next[i + nodes], pairs));
        outcome.sign_share[at] = static_cast<float>(sign_share(next[i], next[i + 2 * nodes], pairs));
      }
      next += nodes * sums_of(runs[run]->config);
    });
  }
}

/// The node that a key of a run's features stands for.
Node feature_of(const Job& job, const std::vector<std::int64_t>& firsts, std::int64_t key) {
  const auto above = std::upper_bound(firsts.begin(), firsts.end(), key);
  const std::int64_t dictionary = above - firsts.begin() - 1;
  const std::int64_t features = (*job.dictionaries)[static_cast<std::size_t>(dictionary)].features();
  const std::int64_t place = key - firsts[static_cast<std::size_t>(dictionary)];
  const bool kept = job.config.method.positions == Positions::keep;
  return {dictionary, kept ? place / features : -1, place % features, NodeKind::features};
}

/// numbers with others at a place among them.
void insert(std::vector<float>& numbers, std::int64_t place, const std::vector<float>& others) {
  numbers.insert(numbers.begin() + place, others.begin(), others.end());
}

/// Puts the features into the list of each run that has them, and on every rank what their scores are.
void share_out_features(const Execution& execution, const RunGroup& runs, const StageResult& result,
                        std::vector<AttributionOutcome>& outcomes) {
  const std::vector<std::int64_t> of_runs = keys_of_runs(runs);
  if (of_runs.back() == 0) return;
  SparseSum all;
  for (const SparseSum& lane : result.sparse) all = added(all, lane);  // lanes are token lengths
  const auto pairs = static_cast<std::int64_t>(runs.front()->pairs.train.size());
  for (std::size_t run = 0; run < runs.size(); ++run) {
    AttributionOutcome& outcome = outcomes[run];
    const std::size_t kind = outcome.layout.find(NodeKind::features);
    if (kind == outcome.layout.kinds()) continue;
    std::vector<std::int64_t> keys;
    std::vector<float> scores, errors, signs;
    const auto begin = std::lower_bound(all.keys.begin(), all.keys.end(), of_runs[run]) - all.keys.begin();
    const auto end = std::lower_bound(all.keys.begin(), all.keys.end(), of_runs[run + 1]) - all.keys.begin();
    const bool measures = runs[run]->config.spread == TaskOptions::Spread::measure;
    for (auto i = begin; i < end; ++i) {
      const double* const sums = all.values.data() + i * all.width;
      keys.push_back(all.keys[static_cast<std::size_t>(i)] - of_runs[run]);
      scores.push_back(static_cast<float>(sums[0] / static_cast<double>(pairs)));
      if (runs[run]->config.method.score == ScoreKind::noise) {  // the same for every pair
        scores.back() = static_cast<float>(feature_noise(keys.back(), runs[run]->config.seed));
        errors.push_back(0);
        signs.push_back(1);
        continue;
      }
      if (!measures) continue;
      errors.push_back(static_cast<float>(standard_error(sums[0], sums[1], pairs)));
      signs.push_back(static_cast<float>(sign_share(sums[0], sums[2], pairs)));
    }
    execution.comm.broadcast(keys);
    const std::vector<std::int64_t> firsts = first_keys(*runs[run]->dictionaries, runs[run]->node_positions());
    std::vector<Node> entries;
    for (const std::int64_t key : keys) entries.push_back(feature_of(*runs[run], firsts, key));
    const std::int64_t place = outcome.layout.first(kind);
    outcome.layout = outcome.layout.with_entries(kind, std::move(entries));
    if (execution.comm.rank() != 0) continue;
    insert(outcome.scores, place, scores);
    if (measures) {
      insert(outcome.standard_error, place, errors);
      insert(outcome.sign_share, place, signs);
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

namespace {

/// [layer, pos, width] of what is averaged, in the order of sum_activations.
std::map<Site, std::vector<std::int64_t>> shapes_of(const Job& job, std::vector<NodeTable> tables,
                                                    std::int64_t length) {
  tables.push_back(node_table(NodeKind::embeddings, job.architecture()));
  std::map<Site, std::vector<std::int64_t>> shapes;
  for (const NodeTable& table : tables) shapes[table.site] = {table.layers, length, table.width()};
  return shapes;
}

}  // namespace

std::map<std::int64_t, MeanState> run_means(const Execution& execution, const Job& job, const std::string& name,
                                            const std::vector<TokenPair>& pairs) {
  const StagePlan plan = plan_lengths(job, pairs);
  std::vector<NodeTable> tables = job.layout().tables();
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
    outcomes[i].layout = group[i]->layout();
    outcomes[i].kinds.resize(outcomes[i].layout.kinds());
    outcomes[i].prepared = prepare(alone, *group[i], outcomes[i]);
    outcomes[i].failure = faults_of(outcomes[i].prepared.means, "baseline means");
  }
  const Job& first = *group.front();
  const StagePlan plan = plan_attribution(group);
  StageResult result = run_plan(execution, "attribution", plan, [&](const Chunk& chunk) {
    std::vector<Task> tasks;
    for_each_task(outcomes, [&](std::size_t run, std::size_t kind) {
      tasks.push_back(outcomes[run].prepared.task(kind, chunk));
    });
    const UnitOutcome unit = attribute(first.networks(), tasks, prompts_of(first, first.pairs.train, chunk.members),
                                       UnitOptions{execution.batching()});
    return UnitResult{sums_of(unit), rows_of(unit, group, outcomes), sparse_sums_of(unit, group, outcomes)};
  });

  share_out_scores(group, plan, result, outcomes);
  share_out_features(execution, group, result, outcomes);
  for (AttributionOutcome& outcome : outcomes) execution.comm.broadcast(outcome.scores);
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    execution.timings.count(result.rows[unit].front());
    const std::vector<double> rows = std::move(result.rows[unit]);  // freed when it has been shared out
    RowReader reader(rows, static_cast<std::int64_t>(chunk.members.size()), 1);
    for_each_task(outcomes, [&](std::size_t run, std::size_t kind) {
      for (const TableSpec& spec : tables_of(*group[run])) {
        store_rows(outcomes[run].kinds[kind].*spec.table, reader.next(), spec.columns, chunk, *group[run],
                   outcomes[run].layout, kind);
      }
    });
  }
  for (std::size_t run = 0; run < outcomes.size() && execution.comm.rank() == 0; ++run) {
    if (outcomes[run].failure.empty()) outcomes[run].failure = faults_of(*group[run], outcomes[run]);
  }
  return outcomes;
}

}  // namespace tributary
