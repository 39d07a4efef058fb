// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/performance_stage.h"

#include "attribution/model/tensors.h"

#include <iterator>

#include "attribution/circuit/performance.h"
#include "runner/job/answers.h"
#include "runner/job/prompts.h"
#include "runner/stages/numbers.h"

namespace tributary {

PerformanceOutcome run_performance(const Execution& shared, const Job& job, const PairTable& training_metric) {
  const Execution execution = shared.evaluating(job.identities.performance);
  std::vector<TokenPair> pairs;  // those to run
  if (!sign_tells(job)) pairs = job.pairs.train;
  pairs.insert(pairs.end(), job.pairs.test.begin(), job.pairs.test.end());
  PerformanceOutcome outcome;
  if (sign_tells(job)) {
    outcome.metric = training_metric;
    for (std::size_t i = 0; i < training_metric.rows.size(); ++i) {
      outcome.correct.rows.push_back(correct_answers(job, job.pairs.train[i], training_metric.rows[i], {}));
      outcome.likeliest.rows.push_back({-1, -1});
    }
  }
  if (pairs.empty()) return outcome;

  const StagePlan plan = plan_lengths(job, pairs);
  const StageResult result = run_plan(execution, "performance", plan, [&](const Chunk& chunk) {
    const Prompts prompts = prompts_of(job, pairs, chunk.members);
    const PerformanceUnit unit = measure_performance(*job.exact, prompts, execution.batching());
    RowWriter rows(unit.flops);
    rows.add(unit.metric);
    rows.add(unit.likeliest);
    return UnitResult{{}, rows.take()};
  });
  if (execution.comm.rank() != 0) return {};
  const std::size_t first = outcome.metric.rows.size();
  outcome.metric.rows.resize(first + pairs.size());
  outcome.correct.rows.resize(first + pairs.size());
  outcome.likeliest.rows.resize(first + pairs.size());
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const std::vector<std::int64_t>& members = plan.chunks[unit].members;
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(members), 1);
    const std::vector<std::vector<double>> metric = reader.next();
    const std::vector<std::vector<double>> likeliest = reader.next();
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto pair = static_cast<std::size_t>(members[i]);
      outcome.metric.rows[first + pair] = metric[i];
      outcome.correct.rows[first + pair] = correct_answers(job, pairs[pair], metric[i], likeliest[i]);
      outcome.likeliest.rows[first + pair] = likeliest[i];
    }
  }
  return outcome;
}

}  // namespace tributary
