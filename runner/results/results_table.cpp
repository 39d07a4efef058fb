// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/results_table.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "attribution/circuit/curve.h"
#include "common/errors.h"
#include "common/text.h"
#include "common/version.h"
#include "runner/results/detail/datasets.h"
#include "runner/results/schema.h"

namespace tributary {

using namespace detail;

namespace {

PairTable first_column(PairTable table) {
  for (std::vector<double>& row : table.rows) row.resize(1);
  return table;
}

/// Whether the tolerance was met, once for each integral: a path that moves embeddings has one for all layers.
PairTable converged_of(const Job& job, const KindOutcome& outcome) {
  return job.config.method.path == PathKind::embeddings ? first_column(outcome.converged) : outcome.converged;
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

/// What the quadrature of one kind of nodes came to.
std::map<std::string, Attribute> quadrature_attributes(const Job& job, const KindOutcome& outcome) {
  std::map<std::string, Attribute> attributes;
  if (!outcome.pilot.empty()) {
    attributes["pilot_rules"] = outcome.pilot;
    attributes["pilot_ratio"] = outcome.pilot_ratio;
  }
  if (!outcome.converged.empty()) {
    std::int64_t open = 0;
    for (const std::vector<double>& row : converged_of(job, outcome).rows)
      open += std::count(row.begin(), row.end(), 0.0);
    attributes["unconverged"] = open;
    attributes["tolerance"] = job.config.method.tolerance;
  }
  return attributes;
}

std::map<std::string, Attribute> attribution_attributes(const Job& job) {
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
  const bool imported = method.score == ScoreKind::imported;
  attributes["sign"] = std::string(imported ? "as attribution.file has it"
                                            : "score = (v(x) - v(x')) * dm/dv: positive supports the clean answer");
  if (imported) attributes["file"] = job.config.scores_file.filename().string();
  attributes["direction"] = name_of(method.direction);
  attributes["baseline"] = name_of(method.baseline);
  attributes["form"] = name_of(method.form);
  attributes["aggregate"] = name_of(method.aggregate);
  attributes["positions"] = name_of(method.positions);
  attributes["metric"] = word_of(job.config.metric);
  attributes["metric_top"] = job.config.metric == MetricKind::sum_of_logits ? job.config.metric_top : std::int64_t{0};
  attributes["rules"] = rules;
  if (method.has_neurons()) attributes["nodes"] = names_of(job.layout());
  return attributes;
}

/// Evaluations as the network saw them: on a path of its own every layer takes its points for itself, else a pass
/// serves all layers.
std::vector<std::int64_t> passes_of(const Method& method, const std::vector<KindOutcome>& kinds) {
  std::vector<std::int64_t> passes;
  for (const KindOutcome& kind : kinds) {
    if (kind.evaluations.empty()) continue;
    passes.resize(kind.evaluations.rows.size());
    for (std::size_t pair = 0; pair < passes.size(); ++pair) {
      const std::vector<double>& row = kind.evaluations.rows[pair];
      if (method.path == PathKind::activations) {
        passes[pair] += static_cast<std::int64_t>(std::accumulate(row.begin(), row.end(), 0.0));
      } else {
        passes[pair] = std::max(passes[pair], static_cast<std::int64_t>(*std::max_element(row.begin(), row.end())));
      }
    }
  }
  return passes;
}

/// Scores of features: where each is, and what it has.
void add_features(ResultsFile& file, const Job& job, const AttributionOutcome& attribution, std::size_t kind) {
  const NodeLayout& layout = attribution.layout;
  const std::string group = group_of(NodeKind::features);
  std::vector<std::int64_t> dictionary, layer, position, feature;
  for (const Node& node : *layout.tables()[kind].entries) {
    dictionary.push_back(node.layer);
    layer.push_back((*job.dictionaries)[static_cast<std::size_t>(node.layer)].layer);
    position.push_back(node.position);
    feature.push_back(node.index);
  }
  file.group_attributes[group]["dictionaries"] = job.dictionary_names;
  file.datasets.push_back(list(group + "/dictionary", std::move(dictionary)));
  file.datasets.push_back(list(group + "/layer", std::move(layer)));
  file.datasets.push_back(list(group + "/position", std::move(position)));
  file.datasets.push_back(list(group + "/feature", std::move(feature)));
  const auto add = [&](const std::string& name, const std::vector<float>& all) {
    if (all.empty()) return;
    const auto first = all.begin() + layout.first(kind);
    file.datasets.push_back(list(group + "/" + name, std::vector<float>(first, first + layout.nodes(kind))));
  };
  add("score", attribution.scores);
  add("standard_error", attribution.standard_error);
  add("sign_share", attribution.sign_share);
}

/// Whether attention and MLP of every layer read the same stream.
bool is_parallel(const Architecture& architecture) {
  return std::all_of(architecture.blocks.begin(), architecture.blocks.end(),
                     [](const BlockSpec& block) { return block.residual == Residual::parallel; });
}

/// Scores of one kind, and what each pair says of them.
void add_kind(ResultsFile& file, const Job& job, const AttributionOutcome& attribution, std::size_t kind) {
  const Method& method = job.config.method;
  const NodeLayout& layout = attribution.layout;
  const KindOutcome& outcome = attribution.kinds[kind];
  const std::string group = group_of(layout.tables()[kind].kind);
  file.group_attributes[group].merge(quadrature_attributes(job, outcome));
  const auto add_scores = [&](const std::string& name, const std::vector<float>& all) {
    if (all.empty()) return;
    const auto first = all.begin() + layout.first(kind);
    file.datasets.push_back(
        dataset(group + "/" + name, axes_shape(layout, kind), std::vector<float>(first, first + layout.nodes(kind))));
  };
  if (layout.tables()[kind].kind == NodeKind::mlps) {
    file.group_attributes[group]["side"] = std::string(job.config.mlp_side == MlpSide::added ? "added" : "written");
  }
  if (layout.tables()[kind].kind == NodeKind::heads) {
    file.group_attributes[group]["d_model"] = job.architecture().d_model;
    file.group_attributes[group]["parallel"] = static_cast<std::int64_t>(is_parallel(job.architecture()) ? 1 : 0);
  }
  add_scores("scores", attribution.scores);
  add_scores("standard_error", attribution.standard_error);
  add_scores("sign_share", attribution.sign_share);
  const auto add = [&](const std::string& name, const PairTable& values, Axes axes) {
    if (!values.empty()) file.datasets.push_back(table(group + "/" + name, values.rows, axes));
  };
  const Axes sums = method.path == PathKind::embeddings ? Axes::other : Axes::usual;  // one sum a pair, or one a layer
  add("residual", outcome.residual, sums);
  add("linearisation_gap", outcome.gap, sums);
  add("audit", outcome.audit, Axes::usual);
  file.datasets.push_back(integer_table(group + "/evaluations", outcome.evaluations.rows));
  if (!outcome.converged.empty()) {
    file.datasets.push_back(integer_table(group + "/converged", converged_of(job, outcome).rows, sums));
  }
}

/// Input IG of the tokens, the same whatever the order of kinds and whichever stand beside the first of them here.
/// Points may be a kind's own (adaptive, pilot), and the conductance of embeddings leaves others out than that of the
/// rest.
const PairTable& inputs_of(const AttributionOutcome& outcome) {
  for (const NodeKind kind : {NodeKind::neurons, NodeKind::heads, NodeKind::mlps, NodeKind::errors}) {
    const std::size_t place = outcome.layout.find(kind);
    if (place < outcome.layout.kinds()) return outcome.kinds[place].inputs;
  }
  return outcome.kinds.front().inputs;  // of embeddings
}

void add_attribution(ResultsFile& file, const Job& job, const AttributionOutcome& outcome) {
  const Method& method = job.config.method;
  file.group_attributes["/attribution"] = attribution_attributes(job);
  for (std::size_t kind = 0; kind < outcome.kinds.size(); ++kind) {
    if (outcome.layout.tables()[kind].is_list()) {
      add_features(file, job, outcome, kind);
    } else {
      add_kind(file, job, outcome, kind);
    }
  }
  file.datasets.push_back(table("/attribution/metric", outcome.metric().rows));
  const PairTable& inputs = inputs_of(outcome);
  if ((job.config.store_inputs || !method.has_neurons()) && !inputs.empty()) {
    // Summed nodes have one position, while tokens keep theirs.
    file.datasets.push_back(
        table("/attribution/inputs", inputs.rows, method.positions == Positions::keep ? Axes::usual : Axes::other));
  }
  file.datasets.push_back(list("/attribution/passes", passes_of(method, outcome.kinds)));
}

std::string word_of(Ablation ablation) {
  switch (ablation) {
    case Ablation::mean:
      return "mean";
    case Ablation::zero:
      return "zero";
    case Ablation::resample:
      return "resample";
  }
  return "";
}

/// CPR or CMD: its points, and its area as an attribute.
void add_area(ResultsFile& file, const std::string& name, const AreaCurve& curve) {
  const std::string path = "/circuit/" + name;
  auto& all = file.datasets;
  all.push_back(list(path + "_fraction", std::vector<double>(std::begin(area_fractions), std::end(area_fractions))));
  all.push_back(list(path + "_count", curve.count));
  all.push_back(list(path + "_value", curve.value));
  all.back().attributes["area"] = curve.area;
  file.group_attributes["/circuit"][name] = curve.area;
}

void add_circuit(ResultsFile& file, const Job& job, const CircuitOutcome& outcome) {
  const CircuitConfig& config = job.config.circuit;
  file.group_attributes["/circuit"] = {
      {"ranking", std::string(config.ranking == Ranking::absolute ? "abs" : "signed")},
      {"ablation", word_of(config.ablation)},
      {"ablation_pairs", std::string(config.means_from == CircuitConfig::MeansFrom::test ? "test" : "train")},
      {"nodes", outcome.nodes},
      {"kinds", names_of(job.circuit_layout())},
      {"scored", outcome.scored},
      {"measurable", static_cast<std::int64_t>(outcome.measurable ? 1 : 0)},
      {"mean_full", mean_of(outcome.metric_full)},
      {"mean_empty", mean_of(outcome.metric_empty)},
  };
  const std::vector<std::int64_t> points_and_pairs = {size_of(outcome.count), size_of(outcome.metric_full)};
  auto& all = file.datasets;
  all.push_back(list("/circuit/count", outcome.count));
  all.push_back(list("/circuit/selection", outcome.selection));
  all.push_back(list("/circuit/faithfulness", outcome.faithfulness));
  all.push_back(list("/circuit/completeness", outcome.completeness));
  add_intervals(file, "/circuit/faithfulness", outcome.faithfulness_interval);
  add_intervals(file, "/circuit/completeness", outcome.completeness_interval);
  all.push_back(dataset("/circuit/metric_circuit", points_and_pairs, floats_of(outcome.metric_circuit)));
  all.push_back(dataset("/circuit/metric_complement", points_and_pairs, floats_of(outcome.metric_complement)));
  all.push_back(list("/circuit/metric_full", floats_of({outcome.metric_full})));
  all.push_back(list("/circuit/metric_empty", floats_of({outcome.metric_empty})));
  if (outcome.cpr) add_area(file, "cpr", *outcome.cpr);
  if (outcome.cmd) add_area(file, "cmd", *outcome.cmd);
}

/// What the file is, for whoever opens it without this program.
std::map<std::string, Attribute> root_attributes(const Job& job) {
  return {{"schema", results_schema_version},
          {"Conventions", "tributary-" + std::to_string(results_schema_version)},
          {"program", std::string("tributary ") + version},
          {"title", job.title}};
}

/// Which rows of /pairs the pairs of a group are, for every group that has pairs of one split.
void add_pair_scales(ResultsFile& file, const Job& job) {
  const std::int64_t train = size_of(job.pairs.train);
  const std::int64_t test = size_of(job.pairs.test);
  for (const AxisRow& axis : results_schema().axes) {
    const bool used = std::any_of(file.datasets.begin(), file.datasets.end(), [&axis](const Dataset& dataset) {
      const bool here = dataset.path.starts_with(axis.group + "/");
      return here && std::find(dataset.axes.begin(), dataset.axes.end(), axis.name) != dataset.axes.end();
    });
    if (!used || axis.split.empty()) continue;
    std::vector<std::int64_t> rows(static_cast<std::size_t>(axis.split == "train" ? train : test));
    std::iota(rows.begin(), rows.end(), axis.split == "train" ? 0 : train);
    file.datasets.push_back(list(axis.group + "/" + axis.name, std::move(rows)));
  }
}

}  // namespace

ResultsFile results_of(const Job& job, const Outcome& outcome, const Provenance& provenance) {
  ResultsFile file;
  add_attribution(file, job, *outcome.attribution);
  if (outcome.circuit) add_circuit(file, job, *outcome.circuit);
  add_evidence(file, job, outcome);
  add_pairs(file, job, *outcome.performance);
  add_pair_scales(file, job);
  file.group_attributes["/"] = root_attributes(job);
  add_provenance(file, provenance);
  const std::vector<std::string> unlisted = parts_without_row(file);
  TRIBUTARY_EXPECT(unlisted.empty(), "the schema of results has no row for " + join(unlisted));
  const std::vector<std::string> differences = differences_from_schema(file);
  TRIBUTARY_EXPECT(differences.empty(), "results differ from their schema: " + join(differences, "; "));
  return file;
}

}  // namespace tributary
