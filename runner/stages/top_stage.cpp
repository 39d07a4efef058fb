// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/top_stage.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <iterator>

#include "attribution/circuit/node_effects.h"
#include "attribution/circuit/ranking.h"
#include "runner/job/prompts.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

constexpr std::int64_t shown_places = 5;
constexpr std::int64_t nodes_in_unit = 32;  // a full matrix product

/// The nodes of a list, some in a unit.
StagePlan plan_nodes(std::int64_t count) {
  StagePlan plan;
  for (std::int64_t first = 0; first < count; first += nodes_in_unit) {
    Chunk chunk;
    for (std::int64_t i = first; i < std::min(count, first + nodes_in_unit); ++i) chunk.members.push_back(i);
    plan.units.push_back({0, std::ssize(plan.units), static_cast<double>(chunk.members.size())});
    plan.chunks.push_back(std::move(chunk));
  }
  return plan;
}

void find_first(TopOutcome& outcome, const Job& job, const AttributionOutcome& attribution) {
  const std::vector<std::int64_t> order = ranked(attribution.scores, Ranking::absolute);
  const std::int64_t count = std::min(job.config.top, count_of_scored(attribution.scores));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t node = order[static_cast<std::size_t>(i)];
    outcome.nodes.push_back(attribution.layout.node(node));
    outcome.scores.push_back(attribution.scores[static_cast<std::size_t>(node)]);
  }
}

/// moved: the nodes' mean differences, one node's after the other's.
void find_tokens(TopOutcome& outcome, const Execution& execution, const Job& job, const ListedNodes& listed,
                 const std::vector<double>& moved) {
  const StagePlan plan = plan_nodes(std::ssize(outcome.nodes));
  const StageResult result = run_plan(execution, "direct effects", plan, [&](const Chunk& chunk) {
    ListedNodes some{listed.tables, {}, listed.dictionaries};
    ListedNodes before = some;
    for (std::int64_t i = 0; i <= chunk.members.back(); ++i) {
      (i < chunk.members.front() ? before : some).nodes.push_back(listed.nodes[static_cast<std::size_t>(i)]);
    }
    const auto first = moved.begin() + before.dims();
    const DirectEffects effects = direct_effects(*job.exact, some, {first, first + some.dims()}, shown_places);
    const Architecture& a = job.architecture();
    RowWriter rows(2 * static_cast<double>(a.d_model * a.vocabulary * std::ssize(some.nodes)));
    for (const at::Tensor& table :
         {effects.promoted, effects.suppressed, effects.promoted_logit, effects.suppressed_logit})
      rows.add(table);
    return UnitResult{{}, rows.take()};
  });
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(plan.chunks[unit].members), 1);
    for (auto* table : {&outcome.promoted, &outcome.suppressed, &outcome.promoted_logit, &outcome.suppressed_logit}) {
      for (std::vector<double>& row : reader.next()) table->push_back(std::move(row));
    }
  }
}

/// The nodes' values, and their mean differences.
std::vector<double> find_values(TopOutcome& outcome, const Execution& execution, const Job& job,
                                const ListedNodes& listed) {
  const StagePlan plan = plan_lengths(job, job.pairs.train);
  const StageResult result = run_plan(execution, "neuron values", plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, job.pairs.train, chunk.members);
    const NodeValues values = node_values(*job.exact, prompts, listed, execution.batching());
    RowWriter rows(values.flops);
    rows.add(values.clean);
    rows.add(values.counterfactual);
    return UnitResult{numbers_of(values.moved), rows.take()};
  });
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const std::vector<std::int64_t>& members = plan.chunks[unit].members;
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(members), 1);
    for (PairTable* const table : {&outcome.clean, &outcome.counterfactual}) {
      const std::vector<std::vector<double>> rows = reader.next();
      if (rows.empty()) continue;
      table->rows.resize(job.pairs.train.size());
      for (std::size_t i = 0; i < members.size(); ++i) table->rows[static_cast<std::size_t>(members[i])] = rows[i];
    }
  }
  std::vector<double> moved(static_cast<std::size_t>(listed.dims()), 0);
  for (const std::vector<double>& lane : result.sums) {  // a token length each
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += lane[i];
  }
  for (double& value : moved) value /= static_cast<double>(job.pairs.train.size());
  execution.comm.broadcast(moved);
  return moved;
}

}  // namespace

TopOutcome run_top(const Execution& shared, const Job& job, const AttributionOutcome& attribution) {
  const Execution execution = shared.evaluating(job.identities.top);
  TopOutcome outcome;
  find_first(outcome, job, attribution);
  const ListedNodes listed{attribution.layout.tables(), outcome.nodes, job.dictionaries};
  const std::vector<double> moved = find_values(outcome, execution, job, listed);
  find_tokens(outcome, execution, job, listed, moved);
  outcome.places = outcome.promoted.empty() ? 0 : std::ssize(outcome.promoted.front());
  return outcome;
}

}  // namespace tributary
