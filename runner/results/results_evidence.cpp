// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
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

void add_neurons(ResultsFile& file, const std::string& group, const std::string& axis,
                 const std::vector<Neuron>& neurons) {
  std::vector<std::int64_t> layer, position, index;
  for (const Neuron& neuron : neurons) {
    layer.push_back(neuron.layer);
    position.push_back(neuron.position);
    index.push_back(neuron.index);
  }
  file.datasets.push_back(counts_dataset(group + "/layer", layer, axis, "layer of the neuron"));
  file.datasets.push_back(counts_dataset(group + "/position", position, axis, "its position, −1: at all of them"));
  file.datasets.push_back(counts_dataset(group + "/neuron", index, axis, "its index in the layer"));
}

void add_agreement(ResultsFile& file, const AgreementOutcome& outcome) {
  add_neurons(file, "/agreement", "sample", neurons_of(outcome.sample));
  Strings strata, names;
  for (const SampledNeuron& one : outcome.sample) strata.push_back(one.stratum);
  std::vector<double> values;
  std::vector<Interval> intervals;
  for (const AgreementStatistic& statistic : outcome.statistics) {
    names.push_back(statistic.name);
    values.push_back(statistic.value);
    intervals.push_back(statistic.interval);
  }
  auto& all = file.datasets;
  all.push_back(strings_dataset("/agreement/stratum", strata, "sample", "why the neuron was chosen"));
  all.push_back(
      table_dataset("/agreement/exact", outcome.exact, "sample",
                    "exact patching of single neurons: m(x) − m(x; do v = baseline), or with direction denoise "
                    "m(x'; do v = v(x)) − m(x')",
                    "logits"));
  all.push_back(table_dataset("/agreement/score", outcome.score, "sample", "what the method says of them", "logits"));
  all.push_back(strings_dataset("/agreement/statistic", names, "statistic",
                                "agreement of the means over training pairs, exact patching against scores"));
  all.push_back(points_dataset("/agreement/value", values, "statistic", "its value", "1"));
  add_intervals(file, "/agreement/value", intervals, "statistic", "1");
}

void add_steering(ResultsFile& file, const Job& job, const SteeringOutcome& outcome) {
  const auto pairs = size_of(job.pairs.test);
  const auto factors = size_of(outcome.factors);
  const bool listed = !job.config.steering.neurons.empty();
  file.group_attributes["/steering"] = {{"neurons_from", std::string(listed ? "list" : "ranking")}};
  add_neurons(file, "/steering", "steered", outcome.neurons);
  auto& all = file.datasets;
  all.push_back(points_dataset("/steering/factor", outcome.factors, "factor",
                               "what the neurons were multiplied by; 1 changes nothing", "1"));
  const auto add = [&](const std::string& name, const std::vector<std::vector<double>>& values,
                       const std::string& long_name, const std::string& units) {
    all.push_back(metrics_dataset("/steering/" + name, values, pairs, "factor", long_name, units));
  };
  add("metric", outcome.metric, "m of each held-out pair's clean prompt", "logits");
  add_intervals(file, "/steering/metric", outcome.metric_interval, "factor", "logits");
  add("clean_probability", outcome.clean_probability, "probability of y as the next token", "fraction");
  add("patch_probability", outcome.patch_probability, "probability of y' as the next token", "fraction");
  add("divergence", outcome.divergence, "KL(unsteered, steered) of the next token", "nats");
  Strings tokens;
  std::vector<float> probabilities;
  for (std::size_t factor = 0; factor < outcome.tokens.size(); ++factor) {
    for (const double id : outcome.tokens[factor]) {
      tokens.push_back(job.token_text(static_cast<std::int64_t>(id)));
    }
    for (const double p : outcome.top_probability[factor]) probabilities.push_back(static_cast<float>(p));
  }
  const std::vector<std::string> axes{"factor", "pair", "place"};
  const std::vector<std::int64_t> shape{factors, pairs, outcome.top};
  all.push_back(
      {"/steering/token", axes, shape, std::move(tokens), "most likely next tokens, likeliest first", "", {}});
  all.push_back(
      {"/steering/token_probability", axes, shape, std::move(probabilities), "their probabilities", "fraction", {}});
}

/// Scores of single pairs [pair][node]: all of them, or of those that a pair keeps, the others being 0.
class PairScores {
 public:
  PairScores(const Keep& keep, const PairTable& table) : keep_(keep), table_(table) {
    if (keep.what == Keep::What::all) return;
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
    if (keep_.what == Keep::What::all) {
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
  Keep keep_;
  const PairTable& table_;
  std::map<std::size_t, std::vector<std::pair<std::size_t, double>>> nodes_;
};

/// How well each node's score tells a case of the training pairs from the others.
void add_cases(ResultsFile& file, const Job& job, const AttributionOutcome& attribution) {
  std::map<std::string, std::int64_t> members;
  for (const TokenPair& pair : job.pairs.train) ++members[pair.text.case_label];
  if (members.size() < 2 || attribution.kept.empty()) return;
  const PairScores scores(job.config.keep, attribution.kept);
  Strings labels;
  std::vector<std::int64_t> counts;
  std::vector<float> areas, means;  // [case, node]
  for (const auto& [label, count] : members) {
    labels.push_back(label);
    counts.push_back(count);
    for (std::size_t node = 0; node < attribution.scores.size(); ++node) {
      const std::vector<double> all = scores.of(node);
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
  const std::vector<std::int64_t>& shape = attribution.shape;
  file.datasets.push_back(strings_dataset("/cases/label", labels, "case", "`case` of the training pairs"));
  file.datasets.push_back(counts_dataset("/cases/pairs", counts, "case", "training pairs of that case"));
  file.datasets.push_back({"/cases/auroc",
                           {"case", "layer", "position", "neuron"},
                           {size_of(labels), shape[0], shape[1], shape[2]},
                           std::move(areas),
                           "probability that the neuron's score of a pair of this case is larger than of any other "
                           "pair, ties counting half; NaN where no pair kept its score",
                           "fraction",
                           {}});
  file.datasets.push_back({"/cases/mean",
                           {"case", "layer", "position", "neuron"},
                           {size_of(labels), shape[0], shape[1], shape[2]},
                           std::move(means),
                           "mean score over the pairs of this case",
                           "logits",
                           {}});
}

void add_kept(ResultsFile& file, const Job& job, const AttributionOutcome& attribution) {
  const PairTable& kept = attribution.kept;
  if (kept.empty()) return;
  const std::vector<std::int64_t>& shape = attribution.shape;
  if (job.config.keep.what == Keep::What::all) {
    Dataset dataset =
        table_dataset("/attribution/pair_scores", kept, "node", "the scores of each training pair", "logits");
    dataset.axes = {"pair", "layer", "position", "neuron"};
    dataset.shape = {size_of(kept.rows), shape[0], shape[1], shape[2]};
    file.datasets.push_back(std::move(dataset));
    return;
  }
  std::vector<std::int64_t> nodes;
  std::vector<float> scores;
  for (const std::vector<double>& row : kept.rows) {
    for (std::size_t i = 0; i + 1 < row.size(); i += 2) {
      nodes.push_back(static_cast<std::int64_t>(row[i]));
      scores.push_back(row[i] < 0 ? missing : static_cast<float>(row[i + 1]));
    }
  }
  const std::vector<std::int64_t> pair_shape{size_of(kept.rows), size_of(nodes) / size_of(kept.rows)};
  file.datasets.push_back({"/attribution/pair_node",
                           {"pair", "rank"},
                           pair_shape,
                           std::move(nodes),
                           "the nodes of the largest |score| of each training pair, as places in the flattened scores",
                           "1",
                           {}});
  file.datasets.push_back(
      {"/attribution/pair_score", {"pair", "rank"}, pair_shape, std::move(scores), "their scores", "logits", {}});
}

}  // namespace

void add_evidence(ResultsFile& file, const Job& job, const Outcome& outcome) {
  if (outcome.agreement) add_agreement(file, *outcome.agreement);
  if (outcome.steering) add_steering(file, job, *outcome.steering);
  add_kept(file, job, *outcome.attribution);
  add_cases(file, job, *outcome.attribution);
}

}  // namespace tributary::detail
