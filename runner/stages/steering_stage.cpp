// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/steering_stage.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <utility>

#include "attribution/circuit/ranking.h"
#include "attribution/circuit/stratified_sample.h"
#include "runner/job/prompts.h"
#include "runner/stages/agreement_stage.h"
#include "runner/stages/not_finite.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

constexpr std::int64_t shown_tokens = 5;

std::vector<Node> nodes_to_steer(const Job& job, const AttributionOutcome& attribution) {
  const SteeringConfig& steering = job.config.steering;
  if (!steering.nodes.empty()) return steering.nodes;
  const std::vector<std::int64_t> order = ranked(attribution.scores, job.config.circuit.ranking);
  std::vector<Node> first;
  const std::int64_t count = std::min(steering.top, count_of_scored(attribution.scores));
  for (std::int64_t i = 0; i < count; ++i) {
    first.push_back(attribution.layout.node(order[static_cast<std::size_t>(i)]));
  }
  return first;
}

/// The factors, and 1 among them: the unchanged model is what others are compared with.
std::vector<double> with_reference(std::vector<double> factors) {
  if (std::find(factors.begin(), factors.end(), 1.0) != factors.end()) return factors;
  const bool ascending = std::is_sorted(factors.begin(), factors.end());
  factors.insert(ascending ? std::upper_bound(factors.begin(), factors.end(), 1.0) : factors.end(), 1.0);
  return factors;
}

at::Tensor answers_of(const Job& job, const Chunk& chunk) {
  at::Tensor answers = at::empty({std::ssize(chunk.members), 2}, at::kLong);
  auto* next = answers.mutable_data_ptr<std::int64_t>();
  for (const std::int64_t member : chunk.members) {
    const TokenPair& pair = job.pairs.test[static_cast<std::size_t>(member)];
    *next++ = pair.clean_answer;
    *next++ = pair.patch_answer;
  }
  return answers;
}

/// A unit's numbers with the pairs first, as rows are handed back.
std::vector<at::Tensor> by_pair(const SteeringUnit& unit) {
  return {unit.metric.t(),
          unit.probability.select(2, 0).t(),
          unit.probability.select(2, 1).t(),
          unit.divergence.t(),
          unit.tokens.to(at::kDouble).transpose(0, 1).flatten(1),
          unit.top_probability.transpose(0, 1).flatten(1)};
}

}  // namespace

SteeringOutcome run_steering(const Execution& shared, const Job& job, const AttributionOutcome& attribution) {
  const Execution execution = shared.evaluating(job.identities.steering);
  SteeringInputs inputs;
  inputs.nodes = nodes_to_steer(job, attribution);
  inputs.dictionaries = job.dictionaries;
  for (const NodeKind kind : all_node_kinds()) {
    if (kind == NodeKind::features) continue;  // the dictionaries say where they are
    const bool steered =
        std::any_of(inputs.nodes.begin(), inputs.nodes.end(), [kind](const Node& node) { return node.kind == kind; });
    if (steered) inputs.tables.push_back(node_table(kind, job.architecture(), job.config.mlp_side));
  }
  inputs.factors = with_reference(job.config.steering.factors);
  inputs.top = std::min(shown_tokens, job.architecture().vocabulary);
  const StagePlan plan = plan_curve(job);
  const StageResult result = run_plan(execution, "steering", plan, [&](const Chunk& chunk) {
    SteeringInputs unit_inputs = inputs;
    unit_inputs.answers = answers_of(job, chunk);
    Prompts prompts = prompts_of(job, job.pairs.test, chunk.members);
    prompts.tokens = metric_tokens(*job.exact, prompts, execution.batching());  // as in attribution
    const SteeringUnit unit = steer(*job.working, prompts, unit_inputs, execution.batching());
    RowWriter rows(unit.flops);
    for (const at::Tensor& table : by_pair(unit)) rows.add(table);
    return UnitResult{{}, rows.take()};
  });
  SteeringOutcome outcome;
  outcome.nodes = inputs.nodes;
  outcome.factors = inputs.factors;
  outcome.top = inputs.top;
  const std::size_t factors = inputs.factors.size();
  const std::size_t pairs = job.pairs.test.size();
  std::vector<std::vector<std::vector<double>>*> tables = {
      &outcome.metric, &outcome.clean_probability, &outcome.patch_probability, &outcome.divergence,
      &outcome.tokens, &outcome.top_probability};
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const std::vector<std::int64_t>& members = plan.chunks[unit].members;
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(members), 1);
    for (std::vector<std::vector<double>>* table : tables) {
      const std::vector<std::vector<double>> rows = reader.next();  // [pair][factor × width]
      const std::size_t width = rows.front().size() / factors;
      table->resize(factors, std::vector<double>(pairs * width));
      for (std::size_t i = 0; i < members.size(); ++i) {
        for (std::size_t factor = 0; factor < factors; ++factor) {
          std::copy_n(rows[i].begin() + static_cast<std::ptrdiff_t>(factor * width), width,
                      (*table)[factor].begin() + members[i] * static_cast<std::ptrdiff_t>(width));
        }
      }
    }
  }
  agreed(execution.comm, [&] {
    if (execution.comm.rank() != 0) return;
    for (std::size_t factor = 0; factor < factors; ++factor) {
      require_none(faults_of(job, outcome.metric[factor], fmt::format("at factor {}", outcome.factors[factor])));
    }
  });
  if (execution.comm.rank() != 0) return {};
  const std::vector<std::int64_t> clusters = prompt_clusters(job.pairs.test);
  for (const std::vector<double>& metric : outcome.metric) {
    outcome.metric_interval.push_back(
        bootstrap(clusters, [&metric](std::span<const double> weight) { return weighted_mean(weight, metric); }, {}));
  }
  return outcome;
}

}  // namespace tributary
