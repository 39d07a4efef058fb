// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "attribution/circuit/stratified_sample.h"
#include "attribution/methods/table.h"
#include "common/text.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

/// "relp without norm", "ig-acts right 10": what sets a run's method apart from its table's row.
std::string method_name(const ReportRun& run) {
  const std::string method = run.attribution("method");
  const bool ablated = method.starts_with("no-");  // RelP without one of its rules
  std::string name = method == "delta" ? "|Δ|" : ablated ? "relp without " + method.substr(3) : method;
  const std::vector<MethodRow>& rows = method_table();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const MethodRow& r) { return r.name == method; });
  if (row == rows.end()) return name;
  if (const auto* file = find_attribute<std::string>(*run.results, "/attribution", "file")) name += " " + *file;
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

}  // namespace

std::int64_t ReportRun::layers() const {
  std::int64_t most = 0;
  for (const NodeTable& table : layout().tables()) {
    if (!of_dictionaries(table.kind)) most = std::max(most, table.layers);
  }
  for (const std::int64_t layer : stored->dictionary_layers()) most = std::max(most, layer + 1);
  return most;
}

std::string ReportRun::attribution(const std::string& name) const {
  return attribute<std::string>(*results, "/attribution", name);
}

std::string ReportRun::metric() const {
  const auto top = attribute<std::int64_t>(*results, "/attribution", "metric_top");
  return attribution("metric") + (top > 0 ? " of " + std::to_string(top) : "");
}

std::string ReportRun::ablation() const {
  if (find("/circuit/count") == nullptr) return "";
  const auto how = attribute<std::string>(*results, "/circuit", "ablation");
  const auto* pairs = find_attribute<std::string>(*results, "/circuit", "ablation_pairs");
  const bool from_train = pairs != nullptr && *pairs == "train";
  return how + (how == "mean" && from_train ? " of training prompts" : "");
}

Cell ReportRun::dictionary(const Node& node) const {
  const std::string name = stored->dictionary_of(node);
  return name.empty() ? Cell() : Cell(std::to_string(node.layer) + ": " + name);
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

Cell ReportRun::position_name(std::int64_t position) const {
  const auto* names = find_attribute<std::vector<std::string>>(*results, "/pairs", "positions_names");
  if (names != nullptr && position >= 0 && position < std::ssize(*names)) {
    const std::string& name = (*names)[static_cast<std::size_t>(position)];
    if (!name.empty()) return name;
  }
  return shared_token("/pairs/clean_tokens", position);
}

Cell ReportRun::shared_token(const std::string& path, std::int64_t position) const {
  const Dataset& tokens = dataset_of(*results, path);  // [pair, token]
  const auto width = static_cast<std::size_t>(tokens.shape.at(1));
  const auto place = static_cast<std::size_t>(position);
  if (position < 0 || place >= width || tokens.shape.at(0) == 0) return {};
  const std::vector<std::string>& texts = values<std::string>(tokens);
  const std::string& first = texts.at(place);
  for (std::size_t i = place; i < texts.size(); i += width) {
    if (texts[i] != first) return {};
  }
  return first.empty() ? Cell() : Cell(first);
}

Node listed_node(const ReportRun& run, const std::string& group, std::size_t i) {
  const auto of = [&](const std::string& name) { return values<std::int64_t>(*run.results, group + "/" + name).at(i); };
  Node node{of("layer"), of("position"), of(run.find(group + "/neuron") != nullptr ? "neuron" : "index")};
  const Dataset* const kinds = run.find(group + "/kind");
  std::vector<NodeKind> every = all_node_kinds();
  every.push_back(NodeKind::errors);
  for (const NodeKind kind : every) {
    const bool whole_group = group.starts_with(stored_group(kind) + "/");  // "/nodes/heads/agreement"
    if (whole_group || (kinds != nullptr && values<std::string>(*kinds).at(i) == name_of(kind))) node.kind = kind;
  }
  return node;
}

Cell listed_dictionary(const ReportRun& run, const std::string& group, std::size_t i) {
  const Dataset* const places = run.find(group + "/dictionary");
  if (places == nullptr) return {};
  Node node = listed_node(run, group, i);
  node.layer = values<std::int64_t>(*places).at(i);
  return run.dictionary(node);
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

/// Says of every run with circuits how they were ablated, where not all of a data set's were ablated alike: their
/// curves cannot be compared.
void name_ablations(std::vector<std::string>& names, const std::vector<std::string>& ablations) {
  std::set<std::string> known(ablations.begin(), ablations.end());
  known.erase("");
  if (known.size() < 2) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!ablations[i].empty()) names[i] += ", ablation " + ablations[i];
  }
}

}  // namespace

Runs report_runs(const std::vector<RunResults>& all) {
  Runs runs;
  std::map<std::string, std::int64_t> data;
  for (const RunResults& one : all) {
    ReportRun run{.run = std::ssize(runs), .data = 0, .method = "", .folder = one.folder, .results = &one.results};
    run.stored = std::make_shared<const StoredNodes>(one.results);
    run.data = data.emplace(data_key(run), std::ssize(data)).first->second;
    runs.push_back(run);
  }
  for (std::int64_t number = 0; number < std::ssize(data); ++number) {
    std::vector<std::string> names, folders, ablations;
    for (const ReportRun& run : runs) {
      if (run.data != number) continue;
      names.push_back(method_name(run));
      folders.push_back(settings_of(run.folder));
      ablations.push_back(run.ablation());
    }
    name_ablations(names, ablations);
    tell_apart(names, folders);
    auto name = names.begin();
    for (ReportRun& run : runs) {
      if (run.data == number) run.method = *name++;
    }
  }
  return runs;
}

}  // namespace tributary::detail
