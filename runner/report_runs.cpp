// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "attribution/circuit/agreement.h"
#include "attribution/methods/table.h"
#include "common/text.h"
#include "runner/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr double faithful = 0.8;  // thresholds that `faithful_at` and `complete_at` are about
constexpr double complete = 0.2;
constexpr std::size_t top_nodes = 100;

using Type = Column::Type;

std::string text_attribute(const ReportRun& run, const std::string& name) {
  return attribute<std::string>(*run.results, "/attribution", name);
}

/// "relp without norm", "ig-acts right 10": what sets a run's method apart from its table's row.
std::string method_name(const ReportRun& run) {
  const std::string method = text_attribute(run, "method");
  const bool ablated = method.starts_with("no-");  // RelP without one of its rules
  std::string name = method == "delta" ? "|Δ|" : ablated ? "relp without " + method.substr(3) : method;
  const std::vector<MethodRow>& rows = method_table();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const MethodRow& r) { return r.name == method; });
  if (row == rows.end()) return name;
  const auto steps = attribute<std::int64_t>(*run.results, "/attribution", "steps");
  const std::string quadrature = text_attribute(run, "quadrature");
  const std::string usual = row->quadrature ? name_of(*row->quadrature) : "none";
  if (quadrature != usual || steps != row->steps) {
    name += " " + quadrature + (steps > 0 ? " " + std::to_string(steps) : "");
  }
  const auto rules = attribute<std::vector<std::string>>(*run.results, "/attribution", "rules");
  std::vector<std::string> without, with;
  for (const Rule rule : all_rules) {
    const bool on = std::find(rules.begin(), rules.end(), name_of(rule)) != rules.end();
    if (row->rules.has(rule) && !on) without.push_back(name_of(rule));
    if (!row->rules.has(rule) && on) with.push_back(name_of(rule));
  }
  if (!without.empty()) name += " without " + join(without);
  if (!with.empty()) name += " with " + join(with);
  if (text_attribute(run, "baseline") != name_of(row->baseline)) name += ", baseline " + text_attribute(run, "baseline");
  if (text_attribute(run, "direction") != "clean") name += ", " + text_attribute(run, "direction");
  if (text_attribute(run, "aggregate") != "mean") name += ", " + text_attribute(run, "aggregate");
  return name;
}

/// What runs of one data set have in common.
std::string data_key(const ReportRun& run) {
  std::string key;
  for (const char* const name : {"model_hash", "dtype", "pairs_hash"}) {
    key += attribute<std::string>(*run.results, "/provenance", name) + '\n';
  }
  return key + text_attribute(run, "metric") + '\n' + text_attribute(run, "positions");
}

/// Files of pairs, "agreement_train.jsonl, agreement_test.jsonl", as one short name: what their stems begin with alike,
/// or the first stem.
std::string data_name(const ReportRun& run) {
  const auto files = attribute<std::string>(*run.results, "/provenance", "pairs");
  const std::size_t comma = files.find(", ");
  const auto stem = [](const std::string& file) { return file.substr(0, file.rfind('.')); };
  const std::string first = stem(files.substr(0, comma));
  if (comma == std::string::npos) return first;
  const std::string second = stem(files.substr(comma + 2));
  const auto differ = std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first;
  const std::string common(first.begin(), differ);
  const std::size_t word = common.find_last_of("_-. ");  // whole words: not the t of train and test
  return word == std::string::npos || word == 0 ? first : common.substr(0, word);
}

/// Names that are there more than once get what sets them apart.
void tell_apart(std::vector<std::string>& names, const std::vector<std::string>& more) {
  std::map<std::string, int> count;
  for (const std::string& name : names) ++count[name];
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (count[names[i]] > 1 && !more[i].empty()) names[i] += " (" + more[i] + ")";
  }
}

double mean_magnitude(const Dataset* table) {
  if (table == nullptr) return std::nan("");
  const std::vector<float>& all = values<float>(*table);
  double sum = 0;
  for (const float value : all) sum += std::abs(static_cast<double>(value));
  return sum / static_cast<double>(all.size());
}

/// Fewest measured nodes for which a value of the curve is good enough.
template <typename Good>
Cell fewest(const ReportRun& run, const std::string& path, const Good& good) {
  const Dataset* curve = run.find(path);
  if (curve == nullptr) return {};
  const std::vector<std::int64_t>& count = values<std::int64_t>(*run.results, "/circuit/count");
  std::optional<std::int64_t> least;
  for (std::size_t i = 0; i < count.size(); ++i) {
    if (good(values<double>(*curve)[i]) && (!least || count[i] < *least)) least = count[i];
  }
  return least ? Cell(*least) : Cell();
}

/// Share of all |score| that the largest ones hold.
double share_of_top(std::vector<float> scores, std::size_t top) {
  std::erase_if(scores, [](float score) { return std::isnan(score); });
  for (float& score : scores) score = std::abs(score);
  std::sort(scores.begin(), scores.end(), std::greater<>());
  double all = 0;
  double held = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    all += scores[i];
    if (i < top) held += scores[i];
  }
  return held / all;
}

double total_seconds(const ReportRun& run) {
  double sum = 0;
  const nlohmann::json stages = nlohmann::json::parse(attribute<std::string>(*run.results, "/provenance", "seconds"));
  for (const auto& [stage, seconds] : stages.items()) sum += seconds.get<double>();
  return sum;
}

/// The first run of every data set.
std::vector<const ReportRun*> first_of_data(const Runs& runs) {
  std::vector<const ReportRun*> first;
  for (const ReportRun& run : runs) {
    if (run.data == std::ssize(first)) first.push_back(&run);
  }
  return first;
}

double mean_metric(const ReportRun& run, std::size_t column) {
  const std::vector<float>& metric = values<float>(*run.results, "/attribution/metric");
  double sum = 0;
  for (std::size_t i = column; i < metric.size(); i += 2) sum += metric[i];
  return 2 * sum / static_cast<double>(metric.size());
}

/// A run's scores, with what comparisons need of them worked out once.
class Comparable {
 public:
  struct Agreement {
    double pearson, spearman, overlap;
  };

  explicit Comparable(const ReportRun& run) : scores_(run.scores()) {
    whole_ = std::none_of(scores_.begin(), scores_.end(), [](float score) { return std::isnan(score); });
    if (!whole_) return;
    const std::vector<double> all(scores_.begin(), scores_.end());
    const std::vector<double> ranks = mean_ranks(all);
    ranks_.assign(ranks.begin(), ranks.end());
    top_ = largest(all, top_nodes);
  }

  [[nodiscard]] Agreement with(const Comparable& other) const {
    std::vector<double> x, y;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      if (std::isnan(scores_[i]) || std::isnan(other.scores_[i])) continue;
      x.push_back(scores_[i]);
      y.push_back(other.scores_[i]);
    }
    if (!whole_ || !other.whole_) {
      return {pearson(x, y), spearman(x, y), overlap(x, y, std::min(top_nodes, x.size()))};
    }
    const std::vector<double> of_x(ranks_.begin(), ranks_.end());
    const std::vector<double> of_y(other.ranks_.begin(), other.ranks_.end());
    return {pearson(x, y), pearson(of_x, of_y), share_in_common(top_, other.top_)};
  }

 private:
  const std::vector<float>& scores_;
  bool whole_ = true;         // no neuron is without a score
  std::vector<float> ranks_;  // halves up to 2^23 are exact
  std::vector<std::size_t> top_;
};

std::string text_of(const Attribute& attribute) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return value;
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return join(value);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return fmt::format("{}", value);
        } else {
          return fmt::format("{}", fmt::join(value, ", "));
        }
      },
      attribute);
}

}  // namespace

Neuron ReportRun::neuron(std::int64_t node) const {
  const std::int64_t positions = shape()[1];
  const std::int64_t neurons = shape()[2];
  const std::int64_t position = keeps_positions() ? node / neurons % positions : -1;
  return {node / neurons / positions, position, node % neurons};
}

bool ReportRun::keeps_positions() const { return text_attribute(*this, "positions") == "keep"; }

std::vector<std::size_t> ReportRun::pairs_of(const std::string& split) const {
  const std::vector<std::string>& splits = values<std::string>(*results, "/pairs/split");
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (splits[i] == split) places.push_back(i);
  }
  return places;
}

std::string ReportRun::token(std::int64_t position) const {
  return position < 0 ? "" : values<std::string>(*results, "/pairs/clean_tokens").at(static_cast<std::size_t>(position));
}

Runs report_runs(const std::vector<RunResults>& all) {
  Runs runs;
  std::map<std::string, std::int64_t> data;
  for (const RunResults& one : all) {
    ReportRun run{std::ssize(runs), 0, "", one.folder, &one.results};
    run.data = data.emplace(data_key(run), std::ssize(data)).first->second;
    runs.push_back(run);
  }
  for (std::int64_t number = 0; number < std::ssize(data); ++number) {
    std::vector<std::string> names, folders;
    for (const ReportRun& run : runs) {
      if (run.data != number) continue;
      names.push_back(method_name(run));
      folders.push_back(run.folder);
    }
    tell_apart(names, folders);
    auto name = names.begin();
    for (ReportRun& run : runs) {
      if (run.data == number) run.method = *name++;
    }
  }
  return runs;
}

Table runs_table(const Runs& runs) {
  Table table{
      "runs",
      "The runs, a row each.",
      {
          {"run", Type::integer, "1", "number of the run in this document"},
          {"name", Type::text, "", "its folder below the sweep's"},
          {"data", Type::integer, "1", "its data set: a row of the table data"},
          {"method", Type::text, "", "what its method is called here"},
          {"baseline", Type::text, "", "what the clean run is compared with"},
          {"rules", Type::text, "", "replacement rules, with how often each acted in one backward pass"},
          {"nodes", Type::integer, "1", "layers × positions × neurons"},
          {"evaluations", Type::integer, "1", "gradient evaluations of the training pairs, all layers"},
          {"seconds", Type::number, "s", "wall time of its stages; those that runs share are in each of them"},
          {"faithful_at", Type::integer, "nodes", "fewest measured nodes with faithfulness ≥ 0.8 on held-out pairs"},
          {"complete_at", Type::integer, "nodes", "fewest measured nodes with completeness ≤ 0.2 on held-out pairs"},
          {"cpr", Type::number, "fraction", "area of faithfulness over the fraction of nodes, signed ranking; ideal 0.999"},
          {"cmd", Type::number, "fraction", "area of |1 − faithfulness|, ranking by |score|; ideal 0"},
          {"residual", Type::number, "logits", "mean |sum of scores − true difference| of methods whose scores sum to it"},
          {"gap", Type::number, "logits", "the same of methods whose scores are not meant to"},
          {"top_share", Type::number, "fraction", "share of all |score| that the 100 first nodes hold"},
      },
      {}};
  for (const ReportRun& run : runs) {
    std::vector<std::string> rules;
    for (const std::string& rule : attribute<std::vector<std::string>>(*run.results, "/attribution", "rules")) {
      rules.push_back(fmt::format("{} ×{}", rule, attribute<std::int64_t>(*run.results, "/attribution", "fired_" + rule)));
    }
    const std::vector<std::int64_t>& evaluations = values<std::int64_t>(*run.results, "/attribution/evaluations");
    const std::vector<std::int64_t>& shape = run.shape();
    const bool curve = run.find("/circuit/count") != nullptr;
    const auto area = [&](const std::string& name) {
      return curve ? Cell(attribute<double>(*run.results, "/circuit", name)) : Cell();
    };
    table.add({run.run, run.folder, run.data, run.method, text_attribute(run, "baseline"), join(rules),
               shape[0] * shape[1] * shape[2], std::accumulate(evaluations.begin(), evaluations.end(), std::int64_t{0}),
               total_seconds(run), fewest(run, "/circuit/faithfulness", [](double f) { return f >= faithful; }),
               fewest(run, "/circuit/completeness", [](double c) { return c <= complete; }), area("cpr"), area("cmd"),
               mean_magnitude(run.find("/attribution/residual")),
               mean_magnitude(run.find("/attribution/linearisation_gap")), share_of_top(run.scores(), top_nodes)});
  }
  return table;
}

Table data_table(const Runs& runs) {
  Table table{"data",
              "What runs were made on: runs of one data set can be compared.",
              {
                  {"data", Type::integer, "1", "number of the data set"},
                  {"name", Type::text, "", "what it is called here"},
                  {"model", Type::text, "", "the checkpoint's folder"},
                  {"dtype", Type::text, "", "number type of the network"},
                  {"metric", Type::text, "", "m"},
                  {"train", Type::integer, "1", "training pairs"},
                  {"test", Type::integer, "1", "held-out pairs"},
                  {"skipped", Type::integer, "1", "pairs that could not be used"},
                  {"overlapping", Type::integer, "1", "held-out pairs whose prompts are training prompts"},
                  {"nodes", Type::integer, "1", "layers × positions × neurons"},
                  {"clean_metric", Type::number, "logits", "mean m of the clean training prompts"},
                  {"counterfactual_metric", Type::number, "logits", "mean m of the counterfactual ones"},
              },
              {}};
  const std::vector<const ReportRun*> all = first_of_data(runs);
  std::vector<std::string> names, models, metrics;
  for (const ReportRun* run : all) {
    names.push_back(data_name(*run));
    models.push_back(attribute<std::string>(*run->results, "/provenance", "model") + " " +
                     attribute<std::string>(*run->results, "/provenance", "dtype"));
    metrics.push_back(text_attribute(*run, "metric") + ", positions " + text_attribute(*run, "positions"));
  }
  tell_apart(names, models);
  tell_apart(names, metrics);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const ReportRun& run = *all[i];
    const auto count = [&](const std::string& name) { return attribute<std::int64_t>(*run.results, "/pairs", name); };
    const auto text = [&](const std::string& name) {
      return attribute<std::string>(*run.results, "/provenance", name);
    };
    const std::vector<std::int64_t>& shape = run.shape();
    table.add({run.data, names[i], text("model"), text("dtype"), text_attribute(run, "metric"), count("train"),
               count("test"), count("skipped"), count("overlapping"), shape[0] * shape[1] * shape[2],
               mean_metric(run, 0), mean_metric(run, 1)});
  }
  return table;
}

Table pairs_table(const Runs& runs) {
  const std::vector<std::string> texts = {"clean_prefix", "patch_prefix", "clean_answer", "patch_answer"};
  Table table{"pairs",
              "The prompt pairs.",
              {
                  {"data", Type::integer, "1", "data set"},
                  {"pair", Type::integer, "1", "place in /pairs of results.h5"},
                  {"split", Type::text, "", "train (attribution) or test (held out: circuits, steering)"},
                  {"case", Type::text, "", "label of the pair"},
                  {"clean_prefix", Type::text, "", "clean prompt"},
                  {"patch_prefix", Type::text, "", "counterfactual prompt"},
                  {"clean_answer", Type::text, "", "y"},
                  {"patch_answer", Type::text, "", "y'"},
              },
              {}};
  for (const ReportRun* run : first_of_data(runs)) {
    const std::vector<std::string>& splits = values<std::string>(*run->results, "/pairs/split");
    for (std::size_t i = 0; i < splits.size(); ++i) {
      std::vector<Cell> row{run->data, static_cast<std::int64_t>(i), splits[i],
                            values<std::string>(*run->results, "/pairs/case")[i]};
      for (const std::string& text : texts) row.emplace_back(values<std::string>(*run->results, "/pairs/" + text)[i]);
      table.add(std::move(row));
    }
  }
  return table;
}

Table tokens_table(const Runs& runs) {
  Table table{"tokens",
              "The tokens of the first training pair: names for positions.",
              {
                  {"data", Type::integer, "1", "data set"},
                  {"position", Type::integer, "1", "position, from 0"},
                  {"token", Type::text, "", "of the clean prompt"},
                  {"counterfactual_token", Type::text, "", "of the counterfactual one"},
              },
              {}};
  for (const ReportRun* run : first_of_data(runs)) {
    if (!run->keeps_positions()) continue;
    for (std::int64_t position = 0; position < run->find("/pairs/clean_ids")->shape[1]; ++position) {
      const auto place = static_cast<std::size_t>(position);
      if (values<std::int64_t>(*run->results, "/pairs/clean_ids")[place] < 0) break;
      table.add({run->data, position, run->token(position),
                 values<std::string>(*run->results, "/pairs/counterfactual_tokens")[place]});
    }
  }
  return table;
}

Table provenance_table(const Runs& runs) {
  Table table{"provenance",
              "How each run came about: /provenance of its results.h5.",
              {
                  {"run", Type::integer, "1", "run"},
                  {"key", Type::text, "", "what"},
                  {"value", Type::text, "", "its value, as text"},
              },
              {}};
  for (const ReportRun& run : runs) {
    for (const auto& [key, value] : run.results->group_attributes.at("/provenance")) {
      table.add({run.run, key, text_of(value)});
    }
  }
  return table;
}

Table methods_table(const Runs& runs) {
  Table table{"methods",
              "Agreement of the scores of any two runs of one data set, over all neurons that both have scored.",
              {
                  {"data", Type::integer, "1", "data set"},
                  {"run_a", Type::integer, "1", "a run"},
                  {"run_b", Type::integer, "1", "another one"},
                  {"pearson", Type::number, "1", "Pearson's correlation"},
                  {"spearman", Type::number, "1", "Spearman's rank correlation"},
                  {"overlap", Type::number, "fraction", "share of the 100 largest |score| that both have in common"},
              },
              {}};
  std::vector<Comparable> all;
  for (const ReportRun& run : runs) all.emplace_back(run);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (std::size_t j = i + 1; j < runs.size(); ++j) {
      if (runs[i].data != runs[j].data || !runs[i].has_neurons() || !runs[j].has_neurons()) continue;
      const Comparable::Agreement agreement = all[i].with(all[j]);
      table.add({runs[i].data, runs[i].run, runs[j].run, agreement.pearson, agreement.spearman, agreement.overlap});
    }
  }
  return table;
}

}  // namespace tributary::detail
