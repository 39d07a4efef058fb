// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/agreement_stage.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "common/hash.h"
#include "runner/job/identity.h"
#include "runner/job/prompts.h"
#include "runner/stages/numbers.h"

namespace tributary {
namespace {

/// Position of the first token in which the prompts of some training pair differ; 0 where none says so.
std::int64_t first_difference(const Job& job) {
  if (job.config.method.positions == Positions::sum) return 0;
  std::int64_t first = job.node_positions();
  for (const TokenPair& pair : job.pairs.train) {
    if (pair.counterfactual.size() != pair.clean.size()) return 0;
    const auto place = std::mismatch(pair.clean.begin(), pair.clean.end(), pair.counterfactual.begin()).first;
    first = std::min<std::int64_t>(first, place - pair.clean.begin());
  }
  return first == job.node_positions() ? 0 : first;
}

/// Places of the neurons of a range of layers in an ascending list: first and count.
std::pair<std::int64_t, std::int64_t> neurons_in(const std::vector<Node>& neurons, const LayerRange& layers) {
  // The layers of dictionaries are their own, and come with the model's first.
  if (!neurons.empty() && of_dictionaries(neurons.front().kind))
    return {0, layers.first == 0 ? std::ssize(neurons) : 0};
  const auto below = [](const Node& neuron, std::int64_t layer) { return neuron.layer < layer; };
  const auto first = std::lower_bound(neurons.begin(), neurons.end(), layers.first, below);
  const auto end = std::lower_bound(first, neurons.end(), layers.end, below);
  return {first - neurons.begin(), end - first};
}

/// A unit's columns, of the neurons in its layers, at their place in the table [pair, neuron].
void store_neurons(PairTable& table, const std::vector<std::vector<double>>& rows, const Chunk& chunk, const Job& job,
                   const std::vector<Node>& neurons) {
  if (rows.empty()) return;  // none of them lies in these layers
  const std::int64_t first = neurons_in(neurons, chunk.layers).first;
  table.rows.resize(job.pairs.train.size(), std::vector<double>(neurons.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(),
              table.rows[static_cast<std::size_t>(chunk.members[i])].begin() + static_cast<std::ptrdiff_t>(first));
  }
}

NodeTable errors_table(const Job& job) {
  const NodeLayout layout = job.layout();
  return layout.tables()[layout.find(NodeKind::errors)];
}

/// Exact patching of nodes of one kind, in ascending order, against the baseline and in the direction of a run.
PairTable exact_effects(const Execution& execution, const Job& job, const std::vector<Node>& neurons) {
  const Method& own = job.config.method;
  MethodRequest request;
  request.method = "exact-patching";
  request.baseline = own.baseline;
  request.direction = own.direction;
  request.positions = own.positions;
  const Method method = resolve_method(request);
  BaselineMeans means;
  if (method.baseline == Baseline::mean) means = baseline_means(execution, job);
  const NodeKind kind = neurons.front().kind;
  const StagePlan plan = plan_exact(job, neurons);
  const StageResult result = run_plan(execution, "exact patching", plan, [&](const Chunk& chunk) {
    Task task{method, {}};
    if (of_dictionaries(kind)) {  // a task of the errors gives features as well
      task.options.dictionaries = job.dictionaries;
      task.options.nodes = errors_table(job);
    } else {
      task.options.nodes = node_table(kind, job.architecture(), job.config.mlp_side);
    }
    task.options.layers = task.options.nodes.within(chunk.layers);
    task.options.sampled = neurons;
    const auto [first, count] = neurons_in(neurons, chunk.layers);
    task.options.sample.assign(neurons.begin() + first, neurons.begin() + first + count);
    const Prompts prompts = prompts_of(job, job.pairs.train, chunk.members);
    means.give(task.options, prompts.clean.size(1));
    // In float32 or better whatever the run computes in: bfloat16 patching is rounding noise (docs/methods.md).
    const Networks exact{job.exact.get(), job.exact.get()};
    const UnitOutcome unit = attribute(exact, {task}, prompts, UnitOptions{execution.batching()});
    RowWriter rows(unit.flops);
    rows.add(unit.scores.front().sampled);
    return UnitResult{{}, rows.take()};
  });
  PairTable table;
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(chunk.members), 1);
    store_neurons(table, reader.next(), chunk, job, neurons);
  }
  return table;
}

/// Columns of a wide table, by the places of some of its ascending neurons.
PairTable columns_of(const PairTable& table, const std::vector<Node>& all, const std::vector<Node>& some) {
  std::vector<std::size_t> places;
  for (const Node& neuron : some) {
    places.push_back(static_cast<std::size_t>(std::lower_bound(all.begin(), all.end(), neuron) - all.begin()));
  }
  PairTable columns;
  for (const std::vector<double>& row : table.rows) {
    std::vector<double>& picked = columns.rows.emplace_back();
    for (const std::size_t place : places) picked.push_back(row[place]);
  }
  return columns;
}

/// A run and one of its kinds of nodes.
struct ComparedKind {
  std::size_t run = 0, kind = 0;
};

/// Those that have a sample.
std::vector<ComparedKind> kinds_with_sample(const std::vector<std::vector<ComparedSample>>& compared) {
  std::vector<ComparedKind> kinds;
  for (std::size_t run = 0; run < compared.size(); ++run) {
    for (std::size_t kind = 0; kind < compared[run].size(); ++kind) {
      if (!compared[run][kind].sample.empty()) kinds.push_back({run, kind});
    }
  }
  return kinds;
}

/// What exact effects of a run's nodes of a kind depend on.
std::string truth_of(const Job& job, const NodeLayout& layout, std::size_t kind) {
  const NodeTable& table = layout.tables()[kind];
  if (table.kind == NodeKind::neurons) return tributary::truth_of(job);
  const std::string side = of_dictionaries(table.kind)       ? " of " + job.dictionaries_hash
                           : table.site == Site::mlp_written ? " written"
                                                             : "";
  return tributary::truth_of(job) + " " + name_of(table.kind) + side;
}

/// Fills in exact effects: of all nodes that runs of one truth have in their samples, each node once.
void patch_samples(const Execution& execution, const RunGroup& runs,
                   std::vector<std::vector<ComparedSample>>& compared) {
  std::map<std::string, std::vector<ComparedKind>> by_truth;
  std::vector<std::string> truths;  // in order of appearance
  for (const ComparedKind& one : kinds_with_sample(compared)) {
    const std::string truth = truth_of(*runs[one.run], runs[one.run]->layout(), one.kind);
    std::vector<ComparedKind>& members = by_truth[truth];
    if (members.empty()) truths.push_back(truth);
    members.push_back(one);
  }
  for (std::size_t truth = 0; truth < truths.size(); ++truth) {
    const std::vector<ComparedKind>& members = by_truth[truths[truth]];
    std::vector<Node> all;
    for (const ComparedKind& one : members) {
      const std::vector<Node> own = neurons_of(compared[one.run][one.kind].sample);
      all.insert(all.end(), own.begin(), own.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    Execution scoped = execution;
    scoped.scope += fmt::format(" against baseline {}", truth + 1);
    const PairTable table = exact_effects(scoped, *runs[members.front().run], all);
    for (const ComparedKind& one : members) {
      ComparedSample& own = compared[one.run][one.kind];
      own.exact = columns_of(table, all, neurons_of(own.sample));
    }
  }
}

/// Fills in the scores that methods give their samples on each pair. Attribution has summed them over the pairs before
/// it could be known which nodes come first, so it is done again, for these.
void score_samples(const Execution& execution, const RunGroup& runs,
                   const std::vector<AttributionOutcome>& attributions,
                   std::vector<std::vector<ComparedSample>>& compared) {
  const std::vector<ComparedKind> members = kinds_with_sample(compared);
  RunGroup scored;
  std::vector<std::vector<Node>> nodes;
  for (const ComparedKind& one : members) {
    if (scored.empty() || scored.back() != runs[one.run]) scored.push_back(runs[one.run]);
    nodes.push_back(neurons_of(compared[one.run][one.kind].sample));
  }
  const Job& first = *scored.front();
  const StagePlan plan = plan_attribution(scored);
  const StageResult result = run_plan(execution, "agreement scores", plan, [&](const Chunk& chunk) {
    std::vector<Task> tasks;
    for (std::size_t k = 0; k < members.size(); ++k) {
      const AttributionOutcome& own = attributions[members[k].run];
      const bool features = own.layout.tables()[members[k].kind].kind == NodeKind::features;
      tasks.push_back(own.prepared.task(features ? own.layout.find(NodeKind::errors) : members[k].kind, chunk));
      TaskOptions& options = tasks.back().options;
      options.sampled = nodes[k];
      options.gap.clear();  // only the scores are wanted, and they do not depend on the rest
      options.keep = {};
      options.audit.clear();
    }
    const UnitOutcome unit = attribute(first.networks(), tasks, prompts_of(first, first.pairs.train, chunk.members),
                                       UnitOptions{execution.batching()});
    RowWriter rows(unit.flops);
    for (const UnitScores& scores : unit.scores) rows.add(scores.sampled);
    return UnitResult{{}, rows.take()};
  });
  for (std::size_t unit = 0; unit < result.rows.size(); ++unit) {
    const Chunk& chunk = plan.chunks[unit];
    execution.timings.count(result.rows[unit].front());
    RowReader reader(result.rows[unit], std::ssize(chunk.members), 1);
    for (std::size_t k = 0; k < members.size(); ++k) {
      store_neurons(compared[members[k].run][members[k].kind].score, reader.next(), chunk, first, nodes[k]);
    }
  }
}

}  // namespace

std::vector<Node> neurons_of(const std::vector<SampledNeuron>& sample) {
  std::vector<Node> neurons;
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

SampleDesign agreement_design(const Job& job, const NodeTable& table) {
  if (table.is_list()) {
    const NodeShape listed{std::ssize(*table.entries), 1, 1, job.config.method.positions, table.kind, table.entries};
    return {listed, 0, job.config.agreement.sample, job.config.agreement.seed};
  }
  const NodeShape shape{table.layers, job.node_positions(), table.nodes, job.config.method.positions, table.kind, {}};
  return {shape, first_difference(job), job.config.agreement.sample, job.config.agreement.seed};
}

std::vector<std::vector<ComparedSample>> compare_with_exact(const Execution& shared, const RunGroup& runs,
                                                            const std::vector<AttributionOutcome>& attributions) {
  std::vector<std::vector<ComparedSample>> compared(runs.size());
  std::string samples;  // both stages serve all runs, so they depend on the samples of all
  for (std::size_t i = 0; i < runs.size(); ++i) {
    samples += std::to_string(i) + ' ';
    if (!runs[i]->has_agreement()) continue;
    samples += runs[i]->identities.agreement;
    const NodeLayout& layout = attributions[i].layout;
    for (std::size_t kind = 0; kind < layout.kinds(); ++kind) {
      const auto first = attributions[i].scores.begin() + layout.first(kind);
      ComparedSample& one = compared[i].emplace_back();
      if (layout.nodes(kind) == 0) continue;  // no feature is ever on
      one.design = agreement_design(*runs[i], layout.tables()[kind]);
      // On every rank, as scores are.
      one.sample = sample_with_tops(one.design, {first, first + layout.nodes(kind)});
    }
  }
  if (kinds_with_sample(compared).empty()) return compared;
  const Execution execution = shared.evaluating(hash_of(samples));
  patch_samples(execution, runs, compared);
  score_samples(execution, runs, attributions, compared);
  return compared;
}

AgreementOutcome agreement_of(const Job& job, const ComparedSample& compared) {
  AgreementOutcome outcome{compared.design, compared.sample, compared.exact, compared.score, {}};
  const Method& method = job.config.method;
  if (method.aggregate == Aggregate::mean_abs || method.score == ScoreKind::magnitude) {
    for (std::vector<double>& row : outcome.exact.rows) {
      for (double& value : row) value = std::abs(value);
    }
  }
  outcome.statistics =
      sample_agreement(outcome.sample, outcome.exact.rows, outcome.score.rows, prompt_clusters(job.pairs.train), {});
  return outcome;
}

}  // namespace tributary
