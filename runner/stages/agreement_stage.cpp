// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/agreement_stage.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "attribution/circuit/agreement.h"
#include "attribution/circuit/ranking.h"
#include "runner/job/identity.h"
#include "runner/job/prompts.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

/// A method by name on all layers of a job's model, against its counterfactual, or against zero where there is none.
Task quick_task(const Job& job, const std::string& method) {
  MethodRequest request;
  request.method = method;
  request.baseline = job.config.unpaired ? Baseline::zero : Baseline::pair;
  request.positions = job.config.method.positions;
  Task task{resolve_method(request), {}};
  task.options.layers = {0, job.architecture().layers()};
  task.options.gap = TaskOptions::Gap::skip;
  return task;
}

NodeShape shape_of(const Job& job) {
  const Architecture& a = job.architecture();
  return {a.layers(), job.node_positions(), a.neurons, job.config.method.positions};
}

/// A sample as plain numbers and back, for the way to the other ranks.
std::vector<std::int64_t> packed(const std::vector<SampledNeuron>& sample, const std::vector<std::string>& strata) {
  std::vector<std::int64_t> numbers;
  for (const SampledNeuron& one : sample) {
    const auto stratum = std::find(strata.begin(), strata.end(), one.stratum) - strata.begin();
    numbers.insert(numbers.end(), {one.neuron.layer, one.neuron.position, one.neuron.index, stratum});
  }
  return numbers;
}

std::vector<SampledNeuron> unpacked(const std::vector<std::int64_t>& numbers, const std::vector<std::string>& strata) {
  std::vector<SampledNeuron> sample;
  for (std::size_t i = 0; i + 3 < numbers.size(); i += 4) {
    sample.push_back(
        {{numbers[i], numbers[i + 1], numbers[i + 2]}, strata.at(static_cast<std::size_t>(numbers[i + 3]))});
  }
  return sample;
}

std::vector<double> column_means(const PairTable& table, std::span<const double> weight) {
  std::vector<double> means(table.rows.front().size(), 0);
  double all = 0;
  for (std::size_t pair = 0; pair < table.rows.size(); ++pair) {
    all += weight[pair];
    if (weight[pair] == 0) continue;
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += weight[pair] * table.rows[pair][i];
  }
  for (double& mean : means) mean /= all;
  return means;
}

}  // namespace

std::vector<Neuron> neurons_of(const std::vector<SampledNeuron>& sample) {
  std::vector<Neuron> neurons;
  for (const SampledNeuron& one : sample) neurons.push_back(one.neuron);
  return neurons;
}

std::vector<std::int64_t> prompt_clusters(const std::vector<TokenPair>& pairs) {
  std::vector<std::string> keys;
  for (const TokenPair& pair : pairs) {
    std::string first = pair.text.clean_prefix;
    std::string second = pair.text.patch_prefix.value_or("");
    if (second < first) std::swap(first, second);
    first += '\0';  // the same two prompts the other way round are no new evidence
    first += second;
    keys.push_back(first);
  }
  return clusters_of(keys);
}

std::vector<SampledNeuron> choose_sample(const Execution& execution, const Job& job) {
  static const std::vector<std::string> strata = {"first", "first in layer", "random"};
  const std::vector<Task> tasks{quick_task(job, "atp"), quick_task(job, "relp"), quick_task(job, "delta")};
  const StagePlan plan = plan_sample(job);
  const StageResult result = run_plan(execution, "agreement sample", plan, [&](const Chunk& chunk) {
    const UnitOutcome unit = attribute(job.networks(), tasks, prompts_of(job, job.pairs.train, chunk.members),
                                       UnitOptions{execution.batching()});
    std::vector<double> sums;  // [method, node]
    for (const UnitScores& scores : unit.scores) {
      const std::vector<double> one = numbers_of(scores.scores);
      sums.insert(sums.end(), one.begin(), one.end());
    }
    return UnitResult{std::move(sums), {unit.flops}};
  });
  for (const std::vector<double>& row : result.rows) execution.timings.count(row.front());
  std::vector<std::int64_t> chosen;
  if (execution.comm.rank() == 0) {
    const NodeShape shape = shape_of(job);
    std::vector<std::vector<std::int64_t>> rankings;
    for (std::size_t method = 0; method < tasks.size(); ++method) {
      std::vector<float> scores(static_cast<std::size_t>(shape.nodes()), 0);
      for (const std::vector<double>& sum : result.sums) {
        for (std::size_t i = 0; i < scores.size(); ++i)
          scores[i] += static_cast<float>(sum[method * scores.size() + i]);
      }
      rankings.push_back(ranked(scores, Ranking::absolute));
      std::erase_if(rankings.back(),
                    [&scores](std::int64_t node) { return scores[static_cast<std::size_t>(node)] == 0; });
    }
    chosen = packed(stratified_sample(shape, rankings, job.config.agreement.sample, job.config.agreement.seed), strata);
  }
  execution.comm.broadcast(chosen);
  return unpacked(chosen, strata);
}

const PairTable& ExactEffects::of(const Job& job) {
  const Method& own = job.config.method;
  const auto [place, is_new] = tables_.try_emplace(truth_of(job));
  PairTable& table = place->second;
  if (!is_new) return table;
  MethodRequest request;
  request.method = "exact-patching";
  request.baseline = own.baseline;
  request.direction = own.direction;
  request.positions = own.positions;
  const Method method = resolve_method(request);
  const std::vector<Neuron> neurons = neurons_of(sample_);
  Execution scoped = execution_;
  scoped.scope = fmt::format(" against baseline {}", tables_.size());
  std::map<std::int64_t, MeanState> means;
  if (method.baseline == Baseline::mean) means = baseline_means(scoped, job);
  const StagePlan plan = plan_exact(job, neurons);
  const StageResult result = run_plan(scoped, "exact patching", plan, [&](const Chunk& chunk) {
    Task task{method, {}};
    task.options.layers = chunk.layers;
    task.options.sampled = neurons;
    const auto [first, count] = neurons_in(neurons, chunk.layers);
    task.options.sample.assign(neurons.begin() + first, neurons.begin() + first + count);
    const Prompts prompts = prompts_of(job, job.pairs.train, chunk.members);
    if (const auto mean = means.find(prompts.clean.size(1)); mean != means.end()) task.options.mean = mean->second;
    // In float32 or better whatever the run computes in: bfloat16 patching is rounding noise (docs/methods.md).
    const Networks exact{job.exact.get(), job.exact.get()};
    const UnitOutcome unit = attribute(exact, {task}, prompts, UnitOptions{execution_.batching()});
    RowWriter rows(unit.flops);
    rows.add(unit.scores.front().sampled);
    return UnitResult{{}, rows.take()};
  });
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    execution_.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(chunk.members), 1);
    const std::vector<std::vector<double>> rows = reader.next();
    const std::int64_t first = neurons_in(neurons, chunk.layers).first;
    table.rows.resize(job.pairs.train.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::vector<double>& row = table.rows[static_cast<std::size_t>(chunk.members[i])];
      row.resize(neurons.size());
      std::copy(rows[i].begin(), rows[i].end(), row.begin() + first);
    }
  }
  return table;
}

AgreementOutcome agreement_of(const Job& job, const std::vector<SampledNeuron>& sample, const PairTable& exact,
                              const PairTable& score) {
  AgreementOutcome outcome{sample, exact, score, {}};
  if (job.config.method.aggregate == Aggregate::mean_abs) {  // then the truth is so too
    for (std::vector<double>& row : outcome.exact.rows) {
      for (double& value : row) value = std::abs(value);
    }
  }
  const std::size_t top = std::max<std::size_t>(1, sample.size() / 10);
  using Numbers = std::span<const double>;
  struct Statistic {
    std::string name;
    double least;  // what it can be; 1 at the most
    std::function<double(Numbers, Numbers)> value;
  };
  const std::vector<Statistic> statistics = {
      {"pearson", -1, pearson},
      {"pearson without the largest", -1, pearson_without_largest},
      {"spearman", -1, spearman},
      {fmt::format("top-{} overlap", top), 0, [top](Numbers x, Numbers y) { return overlap(x, y, top); }},
  };
  BootstrapOptions options;
  options.kind = BootstrapKind::basic;
  const std::vector<std::int64_t> clusters = prompt_clusters(job.pairs.train);
  for (const Statistic& statistic : statistics) {
    const WeightedStatistic of_weights = [&](Numbers weight) {
      return statistic.value(column_means(outcome.exact, weight), column_means(outcome.score, weight));
    };
    const std::vector<double> once(clusters.size(), 1);
    const double value = of_weights(once);
    // What it can be, and never without the value itself, which a strong shift leaves outside.
    const Interval turned = bootstrap(clusters, of_weights, options);
    const Interval shown{std::clamp(std::min(turned.low, value), statistic.least, 1.0),
                         std::clamp(std::max(turned.high, value), statistic.least, 1.0)};
    outcome.statistics.push_back({statistic.name, value, shown});
  }
  return outcome;
}

}  // namespace tributary
