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
#include "attribution/circuit/stratified_sample.h"
#include "attribution/methods/table.h"
#include "common/text.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr double faithful = 0.8;  // thresholds that `faithful_at` and `complete_at` are about
constexpr double complete = 0.2;

using Type = Column::Type;

/// "relp without norm", "ig-acts right 10": what sets a run's method apart from its table's row.
std::string method_name(const ReportRun& run) {
  const std::string method = run.attribution("method");
  const bool ablated = method.starts_with("no-");  // RelP without one of its rules
  std::string name = method == "delta" ? "|Δ|" : ablated ? "relp without " + method.substr(3) : method;
  const std::vector<MethodRow>& rows = method_table();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const MethodRow& r) { return r.name == method; });
  if (row == rows.end()) return name;
  const auto steps = attribute<std::int64_t>(*run.results, "/attribution", "steps");
  const std::string quadrature = run.attribution("quadrature");
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
  if (run.attribution("baseline") != name_of(row->baseline)) name += ", baseline " + run.attribution("baseline");
  if (run.attribution("direction") != "clean") name += ", " + run.attribution("direction");
  if (run.attribution("aggregate") != "mean") name += ", " + run.attribution("aggregate");
  return name;
}

/// What runs of one data set have in common.
std::string data_key(const ReportRun& run) {
  std::string key;
  for (const char* const name : {"model_hash", "dtype", "pairs_hash"}) {
    key += attribute<std::string>(*run.results, "/provenance", name) + '\n';
  }
  return key + run.metric() + '\n' + run.attribution("positions");
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

}  // namespace

Neuron ReportRun::neuron(std::int64_t node) const {
  const Positions kept = keeps_positions() ? Positions::keep : Positions::sum;
  return NodeShape{shape()[0], shape()[1], shape()[2], kept}.neuron(node);
}

std::string ReportRun::attribution(const std::string& name) const {
  return attribute<std::string>(*results, "/attribution", name);
}

std::string ReportRun::metric() const {
  const auto top = attribute<std::int64_t>(*results, "/attribution", "metric_top");
  return attribution("metric") + (top > 0 ? " of " + std::to_string(top) : "");
}

bool ReportRun::keeps_positions() const { return attribution("positions") == "keep"; }

std::vector<std::size_t> ReportRun::pairs_of(const std::string& split) const {
  const std::vector<std::string>& splits = values<std::string>(*results, "/pairs/split");
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (splits[i] == split) places.push_back(i);
  }
  return places;
}

std::string ReportRun::token(std::int64_t position) const {
  return position < 0 ? ""
                      : values<std::string>(*results, "/pairs/clean_tokens").at(static_cast<std::size_t>(position));
}

void tell_apart(std::vector<std::string>& names, const std::vector<std::string>& more) {
  std::map<std::string, std::set<std::string>> differing;
  for (std::size_t i = 0; i < names.size(); ++i) differing[names[i]].insert(more[i]);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (differing[names[i]].size() > 1 && !more[i].empty()) names[i] += " (" + more[i] + ")";
  }
}

namespace {

/// A run's folder name without its method, which is named already: "method=atp,steps=10" → "steps=10".
std::string settings_of(const std::string& folder) {
  std::string rest;
  for (std::size_t first = 0; first <= folder.size();) {
    const std::size_t end = std::min(folder.find(',', first), folder.size());
    const std::string part = folder.substr(first, end - first);
    if (!part.starts_with("method=")) rest += (rest.empty() ? "" : ",") + part;
    first = end + 1;
  }
  return rest;
}

}  // namespace

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
      folders.push_back(settings_of(run.folder));
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
          {"cpr", Type::number, "fraction",
           "area of faithfulness over the fraction of nodes, signed ranking; ideal 0.999"},
          {"cmd", Type::number, "fraction", "area of |1 − faithfulness|, ranking by |score|; ideal 0"},
          {"residual", Type::number, "logits",
           "mean |sum of scores − true difference| of methods whose scores sum to it"},
          {"gap", Type::number, "logits", "the same of methods whose scores are not meant to"},
          {"top_share", Type::number, "fraction", "share of all |score| that the 100 first nodes hold"},
      },
      {}};
  for (const ReportRun& run : runs) {
    std::vector<std::string> rules;
    for (const std::string& rule : attribute<std::vector<std::string>>(*run.results, "/attribution", "rules")) {
      rules.push_back(
          fmt::format("{} ×{}", rule, attribute<std::int64_t>(*run.results, "/attribution", "fired_" + rule)));
    }
    const std::vector<std::int64_t>& evaluations = values<std::int64_t>(*run.results, "/attribution/evaluations");
    const std::vector<std::int64_t>& shape = run.shape();
    const bool curve = run.find("/circuit/count") != nullptr;
    const auto area = [&](const std::string& name) {
      return curve ? Cell(attribute<double>(*run.results, "/circuit", name)) : Cell();
    };
    table.add({run.run, run.folder, run.data, run.method, run.attribution("baseline"), join(rules),
               shape[0] * shape[1] * shape[2], std::accumulate(evaluations.begin(), evaluations.end(), std::int64_t{0}),
               total_seconds(run), fewest(run, "/circuit/faithfulness", [](double f) { return f >= faithful; }),
               fewest(run, "/circuit/completeness", [](double c) { return c <= complete; }), area("cpr"), area("cmd"),
               mean_magnitude(run.find("/attribution/residual")),
               mean_magnitude(run.find("/attribution/linearisation_gap")), share_of_top(run.scores(), top_nodes)});
  }
  return table;
}

}  // namespace tributary::detail
