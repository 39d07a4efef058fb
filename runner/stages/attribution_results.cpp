// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/attribution_results.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "attribution/methods/spread.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "runner/cluster/sparse_sum.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

/// What the columns of a table stand for: a unit of some layers fills only its own.
enum class Columns {
  pair,     // of the whole pair
  layers,   // a layer each, or one for the whole pair
  nodes,    // a node each
  largest,  // the largest nodes: those of all layers compete
  entries,  // keys and scores of features, -1 behind the last one; one unit of a pair has them all
};

struct TableSpec {
  PairTable KindOutcome::*table;
  at::Tensor UnitScores::*unit;
  Columns columns;
};

/// In the order in which units write them.
std::vector<TableSpec> tables_of(const Job& job) {
  std::vector<TableSpec> tables = {
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
  if (job.dictionaries && job.config.keep.what != Keep::What::sums) {
    tables.push_back({&KindOutcome::kept_features, &UnitScores::kept_features, Columns::entries});
  }
  return tables;
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
    case Columns::entries:
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
    if (columns == Columns::entries) {
      auto end = rows[i].begin();
      while (end != rows[i].end() && *end >= 0) end += 2;
      row.assign(rows[i].begin(), end);
      continue;
    }
    const auto [first, length] = place_of(columns, rows[i].size(), layers, layout, kind);
    row.resize(static_cast<std::size_t>(length));
    std::copy(rows[i].begin(), rows[i].end(), row.begin() + static_cast<std::ptrdiff_t>(first));
  }
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
  std::size_t keys = 0;
  for (const UnitScores& scores : unit.scores) keys += scores.sparse.keys.size();
  all.keys.reserve(keys);
  all.values.reserve(keys * static_cast<std::size_t>(all.width));
  const std::vector<std::int64_t> firsts = keys_of_runs(runs);
  auto scores = unit.scores.begin();
  for (const auto& [run, kind] : tasks_of(outcomes)) {
    (void)kind;
    const SparseScores& own = scores->sparse;
    for (std::size_t i = 0; i < own.keys.size(); ++i) {
      all.keys.push_back(firsts[run] + own.keys[i]);
      for (std::int64_t k = 0; k < all.width; ++k) {
        all.values.push_back(
            k < own.width ? own.values[i * static_cast<std::size_t>(own.width) + static_cast<std::size_t>(k)] : 0);
      }
    }
    ++scores;
  }
  return all;
}

/// A unit's own count, then every task's tables.
std::vector<double> rows_of(const UnitOutcome& unit, const RunGroup& runs,
                            const std::vector<AttributionOutcome>& outcomes) {
  RowWriter rows(unit.flops);
  auto scores = unit.scores.begin();
  for (const auto& [run, kind] : tasks_of(outcomes)) {
    (void)kind;
    for (const TableSpec& spec : tables_of(*runs[run])) rows.add(*scores.*spec.unit);
    ++scores;
  }
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
  const auto measures = [&runs](std::size_t run) { return runs[run]->config.spread == TaskOptions::Spread::measure; };
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
    for (const auto& [run, kind] : tasks_of(outcomes)) {
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
    }
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

/// The other way round.
std::int64_t key_of(const Job& job, const std::vector<std::int64_t>& firsts, const Node& node) {
  const auto dictionary = static_cast<std::size_t>(node.layer);
  return firsts[dictionary] + std::max<std::int64_t>(node.position, 0) * (*job.dictionaries)[dictionary].features() +
         node.index;
}

/// Gives features what single pairs keep of them, by place in their list. Seeded noise is the same of every pair.
void share_out_kept_features(const Job& job, AttributionOutcome& outcome) {
  const std::size_t features = outcome.layout.find(NodeKind::features);
  if (features == outcome.layout.kinds()) return;
  PairTable& by_key = outcome.kinds[outcome.layout.find(NodeKind::errors)].kept_features;
  if (by_key.empty() || job.config.method.score == ScoreKind::noise) return;
  const std::vector<std::int64_t> firsts = first_keys(*job.dictionaries, job.node_positions());
  std::vector<std::int64_t> keys;
  for (const Node& node : *outcome.layout.tables()[features].entries) keys.push_back(key_of(job, firsts, node));
  for (std::vector<double>& row : by_key.rows) {
    for (std::size_t i = 0; i < row.size(); i += 2) {
      const auto place = std::lower_bound(keys.begin(), keys.end(), static_cast<std::int64_t>(row[i]));
      row[i] = static_cast<double>(place - keys.begin());
    }
  }
  outcome.kinds[features].kept = std::exchange(by_key, {});
}

/// numbers with others at a place among them.
void insert(std::vector<float>& numbers, std::int64_t place, const std::vector<float>& others) {
  numbers.insert(numbers.begin() + place, others.begin(), others.end());
}

/// Puts the features into the list of each run that has them, and on every rank what their scores are.
void share_out_features(const Execution& execution, const RunGroup& runs, StageResult& result,
                        std::vector<AttributionOutcome>& outcomes) {
  const std::vector<std::int64_t> of_runs = keys_of_runs(runs);
  if (of_runs.back() == 0) return;
  SparseSum all;
  for (SparseSum& lane : result.sparse)
    all = added(std::move(all), std::exchange(lane, {}));  // lanes are token lengths
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

std::vector<std::pair<std::size_t, std::size_t>> tasks_of(const std::vector<AttributionOutcome>& outcomes) {
  std::vector<std::pair<std::size_t, std::size_t>> tasks;
  for (std::size_t run = 0; run < outcomes.size(); ++run) {
    for (std::size_t kind = 0; kind < outcomes[run].layout.kinds(); ++kind) {
      if (!outcomes[run].layout.tables()[kind].is_list()) tasks.emplace_back(run, kind);
    }
  }
  return tasks;
}

UnitResult unit_result(const UnitOutcome& unit, const RunGroup& runs, const std::vector<AttributionOutcome>& outcomes) {
  return {sums_of(unit), rows_of(unit, runs, outcomes), sparse_sums_of(unit, runs, outcomes)};
}

void share_out(const Execution& execution, const RunGroup& runs, const StagePlan& plan, StageResult& result,
               std::vector<AttributionOutcome>& outcomes) {
  share_out_scores(runs, plan, result, outcomes);
  share_out_features(execution, runs, result, outcomes);
  for (AttributionOutcome& outcome : outcomes) execution.comm.broadcast(outcome.scores);
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    execution.timings.count(result.rows[unit].front());
    const std::vector<double> rows = std::move(result.rows[unit]);  // freed when it has been shared out
    RowReader reader(rows, static_cast<std::int64_t>(chunk.members.size()), 1);
    for (const auto& [run, kind] : tasks_of(outcomes)) {
      for (const TableSpec& spec : tables_of(*runs[run])) {
        store_rows(outcomes[run].kinds[kind].*spec.table, reader.next(), spec.columns, chunk, *runs[run],
                   outcomes[run].layout, kind);
      }
    }
  }
  for (std::size_t run = 0; run < runs.size(); ++run) share_out_kept_features(*runs[run], outcomes[run]);
}

}  // namespace tributary
