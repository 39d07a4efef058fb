// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/attribution_stage.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "attribution/circuit/ablation.h"
#include "common/errors.h"
#include "runner/stopping.h"

namespace tributary {
namespace {

/// The tables of one outcome in the order in which units write them.
std::vector<PairTable*> tables_of(AttributionOutcome& outcome) {
  return {&outcome.metric,    &outcome.residual, &outcome.gap,   &outcome.evaluations,
          &outcome.converged, &outcome.audit,    &outcome.inputs};
}

std::vector<at::Tensor> tables_of(const UnitScores& unit) {
  return {unit.metric, unit.residual, unit.gap, unit.evaluations, unit.converged, unit.audit, unit.inputs};
}

/// Whether a table has a column a layer (then a unit fills only its own layers).
bool by_layer(const std::vector<std::vector<double>>& rows, const Chunk& chunk) {
  return static_cast<std::int64_t>(rows.front().size()) == chunk.layers.end - chunk.layers.first;
}

void store_rows(PairTable& table, const std::vector<std::vector<double>>& rows, const Chunk& chunk, const Job& job,
                bool layered) {
  if (rows.empty()) return;
  table.rows.resize(job.pairs.train.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<double>& row = table.rows[static_cast<std::size_t>(chunk.members[i])];
    if (!layered) {
      row = rows[i];
      continue;
    }
    row.resize(static_cast<std::size_t>(job.architecture().layers));
    std::copy(rows[i].begin(), rows[i].end(), row.begin() + static_cast<std::ptrdiff_t>(chunk.layers.first));
  }
}

/// What all units of the stage share.
UnitOptions shared_options(const Execution& execution, const Job& job) {
  UnitOptions options;
  options.batching = execution.batching;
  options.seed = job.config.seed;
  options.gap = job.config.gap;
  if (job.config.method.score == ScoreKind::exact) {
    const Architecture& a = job.architecture();
    options.sample = sample_neurons(a.layers, job.node_positions(), a.neurons, job.config.sample, job.config.seed,
                                    job.config.method.positions);
  }
  StopFlag* stop = execution.options.stop;
  options.between_batches = [stop] {
    if (stop != nullptr && stop->requested()) throw Stopped();
  };
  return options;
}

/// A unit's own options: its layers, and the mean of its pairs' token length.
UnitOptions options_for(const Chunk& chunk, const Job& job, const UnitOptions& shared,
                        const std::map<std::int64_t, MeanState>& means) {
  UnitOptions unit = shared;
  unit.layers = chunk.layers;
  const std::int64_t length = job.pairs.train[static_cast<std::size_t>(chunk.members.front())].length();
  if (const auto mean = means.find(length); mean != means.end()) unit.mean = mean->second;
  return unit;
}

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

/// Tries the candidate rules on a few pairs, and fills in each layer's cheapest one that met the tolerance on all of
/// them.
void run_pilot(const Execution& execution, const Job& job, UnitOptions& options,
               const std::map<std::int64_t, MeanState>& means, std::vector<std::string>& names) {
  const StagePlan plan = plan_pilot(job);
  const Networks exact{job.exact.get(), job.exact.get()};  // in float32: residuals of bfloat16 are noise
  // An embedding path moves all layers together, so one rule serves them.
  const std::int64_t layers = job.config.method.path == PathKind::embeddings ? 1 : job.architecture().layers;
  const StageResult result = run_plan(execution, "pilot", plan, [&](const Chunk& chunk) {
    UnitOptions unit = options_for(chunk, job, options, means);
    return UnitResult{
        {}, numbers_of(pilot(exact, job.config.method, prompts_of(job, job.pairs.train, chunk.members), unit))};
  });
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(layers), 0);
  for (const std::vector<double>& row : result.rows) {
    for (std::size_t l = 0; l < chosen.size(); ++l) chosen[l] = std::max(chosen[l], static_cast<std::int64_t>(row[l]));
  }
  execution.comm.broadcast(chosen);
  for (const std::int64_t choice : chosen) {
    const PilotCandidate& candidate = pilot_candidates().at(static_cast<std::size_t>(choice));
    options.layer_rules.push_back(candidate.rule);
    options.layer_points.push_back(candidate.points);
    names.push_back(name_of(candidate.rule) + " " + std::to_string(candidate.points));
  }
}

}  // namespace

std::map<std::int64_t, MeanState> run_means(const Execution& execution, const Job& job, const std::string& name,
                                            const std::vector<TokenPair>& pairs) {
  const StagePlan plan = plan_means(job, pairs);
  const Architecture& a = job.architecture();
  StageResult result = run_plan(execution, name, plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, pairs, chunk.members);
    const at::Tensor& ids = prompts.counterfactual.defined() ? prompts.counterfactual : prompts.clean;
    const ActivationSums sums = sum_activations(*job.working, ids, execution.batching);
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
                            tensor_of({split, sum.end()}, {a.layers, bucket.length, a.neurons}, type).to(job.device)};
  }
  return means;
}

AttributionOutcome run_attribution(const Execution& execution, const Job& job) {
  AttributionOutcome outcome;
  UnitOptions options = shared_options(execution, job);
  std::map<std::int64_t, MeanState> means;  // by token length
  if (job.config.method.baseline == Baseline::mean) means = baseline_means(execution, job);
  if (job.config.method.quadrature == Quadrature::pilot) run_pilot(execution, job, options, means, outcome.pilot);

  const auto pairs = static_cast<std::int64_t>(job.pairs.train.size());
  std::vector<char> audited(job.pairs.train.size(), 0);
  for (const std::int64_t member : seeded_members(pairs, job.config.audit, job.config.seed))
    audited[static_cast<std::size_t>(member)] = 1;

  const StagePlan plan = plan_attribution(job);
  StageResult result = run_plan(execution, "attribution", plan, [&](const Chunk& chunk) {
    UnitOptions unit = options_for(chunk, job, options, means);
    for (const std::int64_t member : chunk.members) unit.audit.push_back(audited[static_cast<std::size_t>(member)]);
    const UnitScores scores =
        attribute(job.networks(), job.config.method, prompts_of(job, job.pairs.train, chunk.members), unit);
    RowWriter rows;
    for (const at::Tensor& table : tables_of(scores)) rows.add(table);
    return UnitResult{numbers_of(scores.scores), rows.take()};
  });

  const Architecture& a = job.architecture();
  const bool neurons = job.config.method.has_neurons();
  outcome.shape = {neurons ? a.layers : 1, job.node_positions(), neurons ? a.neurons : 1};
  for (const std::vector<double>& sum : result.sums) {  // lanes are layer ranges in order
    for (const double value : sum) outcome.scores.push_back(static_cast<float>(value / static_cast<double>(pairs)));
  }
  execution.comm.broadcast(outcome.scores);
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    RowReader reader(result.rows[unit], static_cast<std::int64_t>(chunk.members.size()));
    for (PairTable* table : tables_of(outcome)) {
      const std::vector<std::vector<double>> rows = reader.next();
      const bool layered =
          table != &outcome.metric && table != &outcome.inputs && !rows.empty() && by_layer(rows, chunk);
      store_rows(*table, rows, chunk, job, layered);
    }
  }
  return outcome;
}

}  // namespace tributary
