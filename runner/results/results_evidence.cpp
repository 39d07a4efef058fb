// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "attribution/circuit/agreement.h"
#include "attribution/circuit/curve.h"
#include "runner/results/detail/datasets.h"

namespace tributary::detail {
namespace {

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

/// Where nodes are; of which kind, where they may be of another than neurons.
void add_nodes(ResultsFile& file, const std::string& group, const std::vector<Node>& nodes, const Job& job) {
  std::vector<std::int64_t> dictionary, layer, position, index;
  Strings kind;
  for (const Node& node : nodes) {
    dictionary.push_back(of_dictionaries(node.kind) ? node.layer : -1);
    layer.push_back(job.layer_of(node));
    position.push_back(node.position);
    index.push_back(node.index);
    kind.push_back(name_of(node.kind));
  }
  const auto other = [](const std::string& name) { return name != name_of(NodeKind::neurons); };
  const Strings scored = names_of(job.layout());
  if (std::any_of(kind.begin(), kind.end(), other) || std::any_of(scored.begin(), scored.end(), other)) {
    file.datasets.push_back(list(group + "/kind", std::move(kind)));
  }
  file.datasets.push_back(list(group + "/layer", std::move(layer)));
  file.datasets.push_back(list(group + "/position", std::move(position)));
  file.datasets.push_back(list(group + "/neuron", std::move(index)));
  if (job.dictionaries) file.datasets.push_back(list(group + "/dictionary", std::move(dictionary)));
}

Strings texts_of(const Job& job, const Rows& ids) {
  Strings texts;
  for (const std::vector<double>& row : ids) {
    for (const double id : row) texts.push_back(job.token_text(static_cast<std::int64_t>(id)));
  }
  return texts;
}

/// What the first nodes do.
void add_top(ResultsFile& file, const Job& job, const TopOutcome& outcome) {
  add_nodes(file, "/top", outcome.nodes, job);
  auto& all = file.datasets;
  all.push_back(list("/top/score", outcome.scores));
  const std::vector<std::int64_t> places = {size_of(outcome.nodes), outcome.places};
  all.push_back(dataset("/top/promoted", places, texts_of(job, outcome.promoted)));
  all.push_back(integer_table("/top/promoted_id", outcome.promoted));
  all.push_back(dataset("/top/promoted_logit", places, floats_of(outcome.promoted_logit)));
  all.push_back(dataset("/top/suppressed", places, texts_of(job, outcome.suppressed)));
  all.push_back(integer_table("/top/suppressed_id", outcome.suppressed));
  all.push_back(dataset("/top/suppressed_logit", places, floats_of(outcome.suppressed_logit)));
  const std::vector<std::int64_t> shape = {size_of(outcome.nodes), size_of(job.pairs.train), 2};
  std::vector<float> values;
  for (std::size_t rank = 0; rank < outcome.nodes.size(); ++rank) {
    for (std::size_t pair = 0; pair < job.pairs.train.size(); ++pair) {
      values.push_back(static_cast<float>(outcome.clean.rows[pair][rank]));
      values.push_back(outcome.counterfactual.empty() ? missing
                                                      : static_cast<float>(outcome.counterfactual.rows[pair][rank]));
    }
  }
  all.push_back(dataset("/top/value", shape, std::move(values)));
}

/// The comparison of one kind of nodes with exact patching.
void add_agreement(ResultsFile& file, const Job& job, const AgreementOutcome& outcome) {
  const NodeKind kind = outcome.design.shape.kind;
  const std::string group = group_of(kind, "agreement");
  std::vector<std::int64_t> dictionary, layer, position, index;
  for (const SampledNeuron& one : outcome.sample) {
    dictionary.push_back(one.neuron.layer);
    layer.push_back(job.layer_of(one.neuron));
    position.push_back(one.neuron.position);
    index.push_back(one.neuron.index);
  }
  if (of_dictionaries(kind)) file.datasets.push_back(list(group + "/dictionary", std::move(dictionary)));
  file.datasets.push_back(list(group + "/layer", std::move(layer)));
  file.datasets.push_back(list(group + "/position", std::move(position)));
  file.datasets.push_back(list(group + (kind == NodeKind::neurons ? "/neuron" : "/index"), std::move(index)));
  file.group_attributes[group] = {{"population", outcome.design.population()},
                                  {"first_position", outcome.design.first_position}};
  Strings strata, names;
  std::vector<double> inclusion, values;
  for (const SampledNeuron& one : outcome.sample) {
    strata.push_back(one.origin());
    inclusion.push_back(one.inclusion());
  }
  std::vector<Interval> intervals;
  for (const AgreementStatistic& statistic : outcome.statistics) {
    names.push_back(statistic.name);
    values.push_back(statistic.value);
    intervals.push_back(statistic.interval);
  }
  auto& all = file.datasets;
  all.push_back(list(group + "/stratum", std::move(strata)));
  all.push_back(list(group + "/inclusion", std::move(inclusion)));
  all.push_back(table(group + "/exact", outcome.exact.rows));
  all.push_back(table(group + "/score", outcome.score.rows));
  all.push_back(list(group + "/statistic", std::move(names)));
  all.push_back(list(group + "/value", std::move(values)));
  add_intervals(file, group + "/value", intervals);
}

void add_steering(ResultsFile& file, const Job& job, const SteeringOutcome& outcome) {
  const bool listed = !job.config.steering.nodes.empty();
  file.group_attributes["/steering"] = {{"neurons_from", std::string(listed ? "list" : "ranking")}};
  add_nodes(file, "/steering", outcome.nodes, job);
  const std::vector<std::int64_t> shape = {size_of(outcome.factors), size_of(job.pairs.test)};
  auto& all = file.datasets;
  all.push_back(list("/steering/factor", outcome.factors));
  all.push_back(dataset("/steering/metric", shape, floats_of(outcome.metric)));
  add_intervals(file, "/steering/metric", outcome.metric_interval);
  all.push_back(dataset("/steering/clean_probability", shape, floats_of(outcome.clean_probability)));
  all.push_back(dataset("/steering/patch_probability", shape, floats_of(outcome.patch_probability)));
  all.push_back(dataset("/steering/divergence", shape, floats_of(outcome.divergence)));
  const std::vector<std::int64_t> places = {shape[0], shape[1], outcome.top};
  all.push_back(dataset("/steering/token", places, texts_of(job, outcome.tokens)));
  all.push_back(dataset("/steering/token_probability", places, floats_of(outcome.top_probability)));
}

/// Whether what is kept of a pair are all nodes of a kind, and not some, each with its place.
bool keeps_all(const Job& job, const NodeTable& nodes) {
  return job.config.keep.what == Keep::What::all && !nodes.is_list();
}

/// Scores of single pairs [pair][node]: all of them, or of those that a pair keeps, the others being 0.
class PairScores {
 public:
  PairScores(bool all, const PairTable& table) : all_(all), table_(table) {
    if (all) return;
    for (std::size_t pair = 0; pair < table.rows.size(); ++pair) {
      const std::vector<double>& row = table.rows[pair];
      for (std::size_t i = 0; i + 1 < row.size() && row[i] >= 0; i += 2) {
        nodes_[static_cast<std::size_t>(row[i])].emplace_back(pair, row[i + 1]);
      }
    }
  }

  /// Nothing where no pair keeps the node.
  [[nodiscard]] std::vector<double> of(std::size_t node) const {
    std::vector<double> scores;
    if (all_) {
      for (const std::vector<double>& row : table_.rows) scores.push_back(row[node]);
      return scores;
    }
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return scores;
    scores.resize(table_.rows.size(), 0);
    for (const auto& [pair, score] : found->second) scores[pair] = score;
    return scores;
  }

 private:
  bool all_;
  const PairTable& table_;
  std::map<std::size_t, std::vector<std::pair<std::size_t, double>>> nodes_;
};

/// How well each node's score tells a case of the training pairs from the others, for one kind of nodes.
void add_cases(ResultsFile& file, const Job& job, const AttributionOutcome& attribution, std::size_t kind) {
  std::map<std::string, std::int64_t> members;
  for (const TokenPair& pair : job.pairs.train) ++members[pair.text.case_label];
  const PairTable& kept = attribution.kinds[kind].kept;
  if (members.size() < 2 || kept.empty()) return;
  const NodeTable& nodes = attribution.layout.tables()[kind];
  const PairScores scores(keeps_all(job, nodes), kept);
  Strings labels;
  std::vector<std::int64_t> counts;
  std::vector<float> areas, means;  // [case, node]
  for (const auto& [label, count] : members) {
    labels.push_back(label);
    counts.push_back(count);
    for (std::int64_t node = 0; node < attribution.layout.nodes(kind); ++node) {
      const std::vector<double> all = scores.of(static_cast<std::size_t>(node));
      const bool scored = std::none_of(all.begin(), all.end(), [](double score) { return std::isnan(score); });
      if (all.empty() || !scored) {
        areas.push_back(missing);
        means.push_back(missing);
        continue;
      }
      std::vector<double> inside, outside;
      for (std::size_t pair = 0; pair < all.size(); ++pair) {
        (job.pairs.train[pair].text.case_label == label ? inside : outside).push_back(all[pair]);
      }
      areas.push_back(static_cast<float>(auroc(inside, outside)));
      means.push_back(static_cast<float>(mean_of(inside)));
    }
  }
  std::vector<std::int64_t> shape = axes_shape(attribution.layout, kind);
  shape.insert(shape.begin(), size_of(labels));
  const std::string group = group_of(nodes.kind, "cases");
  if (file.find("/cases/label") == nullptr) {  // they are the same for all
    file.datasets.push_back(list("/cases/label", std::move(labels)));
    file.datasets.push_back(list("/cases/pairs", std::move(counts)));
  }
  file.datasets.push_back(dataset(group + "/auroc", shape, std::move(areas)));
  file.datasets.push_back(dataset(group + "/mean", shape, std::move(means)));
}

/// Rows one after the other, each freed when it has been taken over: together they may be most of what there is.
std::vector<float> floats_taken(Rows rows) {
  std::vector<float> values;
  values.reserve(rows.size() * rows.front().size());
  for (std::vector<double>& row : rows) {
    values.insert(values.end(), row.begin(), row.end());
    row = {};
  }
  return values;
}

/// Scores of single pairs of what is a list: pair by pair their places in it, ascending.
void add_kept_entries(ResultsFile& file, const std::string& group, const Rows& kept) {
  std::vector<std::int64_t> pairs, entries;
  std::vector<float> scores;
  for (std::size_t pair = 0; pair < kept.size(); ++pair) {  // training pairs are the first rows of /pairs
    for (std::size_t i = 0; i + 1 < kept[pair].size(); i += 2) {
      pairs.push_back(static_cast<std::int64_t>(pair));
      entries.push_back(static_cast<std::int64_t>(kept[pair][i]));
      scores.push_back(static_cast<float>(kept[pair][i + 1]));
    }
  }
  file.datasets.push_back(list(group + "/kept_pair", std::move(pairs)));
  file.datasets.push_back(list(group + "/kept_entry", std::move(entries)));
  file.datasets.push_back(list(group + "/kept_score", std::move(scores)));
}

/// Scores of single pairs: all of them, or nodes and scores of the largest ones.
void add_kept(ResultsFile& file, const Job& job, const NodeLayout& layout, std::size_t kind, Rows kept) {
  if (kept.empty()) return;
  const std::string group = group_of(layout.tables()[kind].kind);
  if (layout.tables()[kind].is_list()) return add_kept_entries(file, group, kept);
  if (job.config.keep.what == Keep::What::all) {
    std::vector<std::int64_t> shape = axes_shape(layout, kind);
    shape.insert(shape.begin(), size_of(kept));
    file.datasets.push_back(dataset(group + "/pair_scores", shape, floats_taken(std::move(kept))));
    return;
  }
  std::vector<std::int64_t> nodes;
  std::vector<float> scores;
  for (const std::vector<double>& row : kept) {
    for (std::size_t i = 0; i + 1 < row.size(); i += 2) {
      nodes.push_back(static_cast<std::int64_t>(row[i]));
      scores.push_back(row[i] < 0 ? missing : static_cast<float>(row[i + 1]));
    }
  }
  const std::vector<std::int64_t> shape = {size_of(kept), size_of(nodes) / size_of(kept)};
  file.datasets.push_back(dataset(group + "/pair_node", shape, std::move(nodes)));
  file.datasets.push_back(dataset(group + "/pair_score", shape, std::move(scores)));
}

}  // namespace

void add_evidence(ResultsFile& file, const Job& job, const Outcome& outcome) {
  if (outcome.top) add_top(file, job, *outcome.top);
  for (const AgreementOutcome& kind : outcome.agreement) add_agreement(file, job, kind);
  if (outcome.steering) add_steering(file, job, *outcome.steering);
  ResultsFile cases;  // from the scores of single pairs, which the file takes next
  AttributionOutcome& attribution = *outcome.attribution;
  for (std::size_t kind = 0; kind < attribution.kinds.size(); ++kind) {
    add_cases(cases, job, attribution, kind);
    add_kept(file, job, attribution.layout, kind, std::move(attribution.kinds[kind].kept.rows));
  }
  std::move(cases.datasets.begin(), cases.datasets.end(), std::back_inserter(file.datasets));
}

}  // namespace tributary::detail
