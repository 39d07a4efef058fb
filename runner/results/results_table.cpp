// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/results_table.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "attribution/circuit/curve.h"
#include "runner/results/detail/datasets.h"

namespace tributary {

using namespace detail;

namespace {

/// Input IG has one row of scores and no layers of its own: its tables keep the first column.
PairTable for_scores(const PairTable& table, const Job& job) {
  if (job.config.method.has_neurons()) return table;
  PairTable first = table;
  for (std::vector<double>& row : first.rows) row.resize(1);
  return first;
}

std::string word_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::logit_difference:
      return "logit-difference";
    case MetricKind::logit:
      return "logit";
    case MetricKind::sum_of_logits:
      return "sum-of-logits";
  }
  return "";
}

std::map<std::string, Attribute> attribution_attributes(const Job& job, const AttributionOutcome& outcome) {
  const Method& method = job.config.method;
  Strings rules;
  std::map<std::string, Attribute> attributes;
  for (const Rule rule : all_rules) {
    if (method.rules.has(rule)) rules.push_back(name_of(rule));
    attributes["fired_" + name_of(rule)] = job.fired.of(rule);
  }
  attributes["method"] = method.name;
  attributes["quadrature"] = method.quadrature ? name_of(*method.quadrature) : std::string("none");
  attributes["steps"] = static_cast<std::int64_t>(method.steps);
  attributes["sign"] = std::string("score = (v(x) - v(x')) * dm/dv: positive supports the clean answer");
  attributes["direction"] = name_of(method.direction);
  attributes["baseline"] = name_of(method.baseline);
  attributes["form"] = name_of(method.form);
  attributes["aggregate"] = name_of(method.aggregate);
  attributes["positions"] = name_of(method.positions);
  attributes["metric"] = word_of(job.config.metric);
  attributes["metric_top"] = job.config.metric == MetricKind::sum_of_logits ? job.config.metric_top : std::int64_t{0};
  attributes["rules"] = rules;
  if (!outcome.pilot.empty()) attributes["pilot_rules"] = outcome.pilot;
  if (!outcome.converged.empty()) {
    std::int64_t open = 0;
    for (const std::vector<double>& row : outcome.converged.rows) open += std::count(row.begin(), row.end(), 0.0);
    attributes["unconverged"] = open;
    attributes["tolerance"] = method.tolerance;
  }
  return attributes;
}

void add_attribution(ResultsFile& file, const Job& job, const AttributionOutcome& outcome) {
  file.group_attributes["/attribution"] = attribution_attributes(job, outcome);
  file.datasets.push_back(
      {"/attribution/scores",
       {"layer", "position", "neuron"},
       outcome.shape,
       outcome.scores,
       "attribution of each MLP neuron (the input of the down projection), mean over training pairs",
       "logits",
       {}});
  const bool one_column = job.config.method.path == PathKind::embeddings;
  const std::string layer = one_column ? "" : "layer";
  const auto add = [&](const std::string& name, const PairTable& table, const std::string& axis,
                       const std::string& long_name, const std::string& units) {
    if (!table.empty()) file.datasets.push_back(table_dataset("/attribution/" + name, table, axis, long_name, units));
  };
  add("residual", outcome.residual, layer, "sum of scores − true end-point difference of the metric", "logits");
  add("linearisation_gap", outcome.gap, layer,
      "sum of scores − true end-point difference, of a method whose scores are not meant to sum to it", "logits");
  add("audit", for_scores(outcome.audit, job), "layer",
      "relative L1 difference to the scores with twice the points, of audited pairs", "fraction");
  add("metric", outcome.metric, "run", "m on the clean (0) and the counterfactual (1) prompt", "logits");
  if (job.config.store_inputs || !job.config.method.has_neurons()) {
    // Summed nodes have one position, while tokens keep theirs.
    add("inputs", outcome.inputs, job.config.method.positions == Positions::keep ? "position" : "token",
        "input integrated gradients of each token", "logits");
  }
  file.datasets.push_back(
      integers_dataset("/attribution/evaluations", for_scores(outcome.evaluations, job), "gradient evaluations spent"));
}

void add_circuit(ResultsFile& file, const Job& job, const CircuitOutcome& outcome) {
  const auto pairs = size_of(outcome.metric_full);
  const CircuitConfig& config = job.config.circuit;
  const std::string ablation = config.ablation == Ablation::mean   ? "mean"
                               : config.ablation == Ablation::zero ? "zero"
                                                                   : "resample";
  file.group_attributes["/circuit"] = {
      {"ranking", std::string(config.ranking == Ranking::absolute ? "abs" : "signed")},
      {"ablation", ablation},
      {"ablation_pairs", std::string(config.means_from == CircuitConfig::MeansFrom::test ? "test" : "train")},
      {"nodes", job.architecture().layers() * job.node_positions() * job.architecture().neurons},
      {"cpr", outcome.cpr.area},
      {"cmd", outcome.cmd.area},
      {"measurable", static_cast<std::int64_t>(outcome.measurable ? 1 : 0)},
  };
  const std::vector<double> fractions(std::begin(area_fractions), std::end(area_fractions));
  auto& all = file.datasets;
  all.push_back(counts_dataset("/circuit/count", outcome.count, "point", "nodes in the circuit"));
  all.push_back(strings_dataset("/circuit/selection", outcome.selection, "point", "what asked for this circuit"));
  all.push_back(points_dataset("/circuit/faithfulness", outcome.faithfulness, "point",
                               "(F(C) − F(empty)) / (F(M) − F(empty)), ideal 1", "fraction"));
  all.push_back(points_dataset("/circuit/completeness", outcome.completeness, "point",
                               "(F(M without C) − F(empty)) / (F(M) − F(empty)), ideal 0", "fraction"));
  add_intervals(file, "/circuit/faithfulness", outcome.faithfulness_interval, "point", "fraction");
  add_intervals(file, "/circuit/completeness", outcome.completeness_interval, "point", "fraction");
  all.push_back(metrics_dataset("/circuit/metric_circuit", outcome.metric_circuit, pairs, "point",
                                "m with only the circuit's neurons kept", "logits"));
  all.push_back(metrics_dataset("/circuit/metric_complement", outcome.metric_complement, pairs, "point",
                                "m with the circuit's neurons ablated", "logits"));
  all.push_back(pair_metrics_dataset("/circuit/metric_full", outcome.metric_full, "m with nothing ablated"));
  all.push_back(pair_metrics_dataset("/circuit/metric_empty", outcome.metric_empty, "m with every MLP neuron ablated"));
  for (const auto& [name, curve, what] :
       {std::tuple<std::string, const AreaCurve&, std::string>{"cpr", outcome.cpr, "faithfulness, signed ranking"},
        {"cmd", outcome.cmd, "|1 − faithfulness|, abs ranking"}}) {
    all.push_back(
        points_dataset("/circuit/" + name + "_fraction", fractions, "fraction", "fraction of nodes kept", "fraction"));
    all.push_back(counts_dataset("/circuit/" + name + "_count", curve.count, "fraction", "nodes kept"));
    all.push_back(points_dataset("/circuit/" + name + "_value", curve.value, "fraction", what, "fraction"));
    all.back().attributes["area"] = curve.area;
  }
}

void add_pairs(ResultsFile& file, const Job& job) {
  std::vector<std::pair<const TokenPair*, std::string>> pairs;
  for (const TokenPair& pair : job.pairs.train) pairs.emplace_back(&pair, "train");
  for (const TokenPair& pair : job.pairs.test) pairs.emplace_back(&pair, "test");
  std::int64_t longest = 0;
  for (const auto& [pair, split] : pairs) longest = std::max(longest, pair->length());

  const auto strings = [&](const std::string& name, const std::string& long_name, const auto& text_of) {
    Strings values;
    for (const auto& [pair, split] : pairs) values.push_back(text_of(*pair, split));
    file.datasets.push_back(strings_dataset("/pairs/" + name, values, "pair", long_name));
  };
  const auto ids = [&](const std::string& name, const std::string& long_name, const auto& ids_of) {
    std::vector<std::int64_t> values;
    for (const auto& [pair, split] : pairs) {
      const std::vector<std::int64_t>& row = ids_of(*pair);
      for (std::int64_t t = 0; t < longest; ++t)
        values.push_back(t < size_of(row) ? row[static_cast<std::size_t>(t)] : -1);
    }
    file.datasets.push_back(
        {"/pairs/" + name, {"pair", "token"}, {size_of(pairs), longest}, std::move(values), long_name, "", {}});
  };
  const auto answers = [&](const std::string& name, const std::string& long_name, const auto& id_of) {
    std::vector<std::int64_t> values;
    for (const auto& [pair, split] : pairs) values.push_back(id_of(*pair));
    file.datasets.push_back({"/pairs/" + name, {"pair"}, {size_of(values)}, values, long_name, "", {}});
  };
  strings("split", "train (attribution) or test (circuits)",
          [](const TokenPair&, const std::string& split) { return split; });
  strings("clean_prefix", "clean prompt", [](const TokenPair& p, const auto&) { return p.text.clean_prefix; });
  strings("patch_prefix", "counterfactual prompt",
          [](const TokenPair& p, const auto&) { return p.text.patch_prefix.value_or(""); });
  strings("clean_answer", "y, as text", [](const TokenPair& p, const auto&) { return p.text.clean_answer; });
  strings("patch_answer", "y', as text",
          [](const TokenPair& p, const auto&) { return p.text.patch_answer.value_or(""); });
  strings("case", "case label", [](const TokenPair& p, const auto&) { return p.text.case_label; });
  ids(
      "clean_ids", "token ids of the clean prompt, −1 beyond its end",
      [](const TokenPair& p) -> const auto& { return p.clean; });
  ids(
      "counterfactual_ids", "token ids of the counterfactual prompt",
      [](const TokenPair& p) -> const auto& { return p.counterfactual; });
  const auto tokens = [&](const std::string& name, const std::string& long_name, const auto& ids_of) {
    Strings values;
    for (const auto& [pair, split] : pairs) {
      const std::vector<std::int64_t>& row = ids_of(*pair);
      for (std::int64_t t = 0; t < longest; ++t)
        values.push_back(t < size_of(row) ? job.token_text(row[static_cast<std::size_t>(t)]) : "");
    }
    file.datasets.push_back(
        {"/pairs/" + name, {"pair", "token"}, {size_of(pairs), longest}, std::move(values), long_name, "", {}});
  };
  tokens(
      "clean_tokens", "the same as text", [](const TokenPair& p) -> const auto& { return p.clean; });
  tokens(
      "counterfactual_tokens", "the same as text", [](const TokenPair& p) -> const auto& { return p.counterfactual; });
  answers("clean_answer_id", "token id of y", [](const TokenPair& p) { return p.clean_answer; });
  answers("patch_answer_id", "token id of y', −1 when there is none",
          [](const TokenPair& p) { return p.patch_answer; });

  Strings skipped;
  for (const SkippedPair& pair : job.pairs.skipped)
    skipped.push_back(std::filesystem::path(pair.file).filename().string() + ":" + std::to_string(pair.line) + ": " +
                      pair.reason);
  file.datasets.push_back(
      strings_dataset("/pairs/skipped", skipped, "skipped", "pairs that could not be used, with the reason"));
  file.group_attributes["/pairs"] = {{"train", size_of(job.pairs.train)},
                                     {"test", size_of(job.pairs.test)},
                                     {"skipped", size_of(job.pairs.skipped)},
                                     {"overlapping", job.pairs.overlapping}};
}

}  // namespace

ResultsFile results_of(const Job& job, const Outcome& outcome, const Provenance& provenance) {
  ResultsFile file;
  add_attribution(file, job, *outcome.attribution);
  if (outcome.circuit) add_circuit(file, job, *outcome.circuit);
  add_evidence(file, job, outcome);
  add_pairs(file, job);
  file.group_attributes["/provenance"] = provenance;
  return file;
}

}  // namespace tributary
