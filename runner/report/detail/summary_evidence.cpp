// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/text.h"
#include "runner/report/detail/circuit_nodes.h"
#include "runner/report/detail/missing_intervals.h"
#include "runner/report/detail/results_access.h"
#include "runner/report/detail/summary_lines.h"

namespace tributary::detail {
namespace {

constexpr int shown_decimals = 3;

/// A number with so many decimals, without the sign that rounding would leave before zeros.
std::string decimals(double value, int count) {
  const std::string text = fmt::format("{:.{}f}", value, count);
  return text.find_first_not_of("-0.") == std::string::npos && text.front() == '-' ? text.substr(1) : text;
}

/// "-0.613 to 0.861"; empty where there is no interval.
std::string interval_text(double low, double high) {
  if (std::isnan(low) || std::isnan(high)) return "";
  return decimals(low, shown_decimals) + " to " + decimals(high, shown_decimals);
}

/// "         0.300  -0.613 to 0.861 ", of a circuit; a dash where there is no interval.
std::string with_interval(const ResultsFile& results, const std::string& name, std::size_t circuit) {
  const auto of = [&](const char* which) { return values<double>(results, "/circuit/" + name + which).at(circuit); };
  const std::string interval = interval_text(of("_low"), of("_high"));
  return fmt::format("  {:>12}  {:<16}", decimals(of(""), shown_decimals), interval.empty() ? "–" : interval);
}

std::string circuit_table(const ResultsFile& results) {
  const Dataset* count = results.find("/circuit/count");
  if (count == nullptr) return "";
  std::string text = "\n       k  faithfulness  95 % interval     completeness  95 % interval\n";
  for (std::size_t i = 0; i < values<std::int64_t>(*count).size(); ++i) {
    std::string line = fmt::format("  {:>6}", values<std::int64_t>(*count)[i]);
    for (const char* const name : {"faithfulness", "completeness"}) line += with_interval(results, name, i);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (const std::string why = circuits_without_interval(results); !why.empty()) text += "  " + why + "\n";
  const auto* scored = find_attribute<std::int64_t>(results, "/circuit", "scored");
  const auto* nodes = find_attribute<std::int64_t>(results, "/circuit", "nodes");
  if (scored != nullptr && nodes != nullptr && *scored < *nodes) {
    text += fmt::format("  {} of {} nodes have a score: circuits of more, CPR and CMD are nan\n", *scored, *nodes);
  }
  if (attribute<std::int64_t>(results, "/circuit", "measurable") == 0) {
    return text +
           "  ablating every node changes the metric by less than 0.05 logits, so the ratios mean nothing here\n";
  }
  const auto ablation = attribute<std::string>(results, "/circuit", "ablation");
  const auto* cpr = find_attribute<double>(results, "/circuit", "cpr");
  const auto* cmd = find_attribute<double>(results, "/circuit", "cmd");
  if (cpr == nullptr || cmd == nullptr) return text + "  ablation " + ablation + "\n";
  return text +
         fmt::format("  CPR {:.3f} (overshooting raises it, so none is best), CMD {:.3f} (ideal 0); ablation {}\n",
                     *cpr, *cmd, ablation);
}

/// Which nodes compete, and where the embeddings come among them, if they are one node.
std::string among_lines(const ResultsFile& results, const StoredNodes& stored) {
  const std::optional<CircuitNodes> circuits = circuit_nodes(results, stored);
  if (!circuits || stored.only_neurons()) return "";
  std::string text = fmt::format("  circuits choose among {} nodes: {}\n", circuits->nodes, join(circuits->kinds));
  if (!circuits->embeddings) return text;
  text += fmt::format("  the embeddings are node {} of the ranking", *circuits->embeddings);
  const auto* ranking = find_attribute<std::string>(results, "/circuit", "ranking");
  const bool by_score = ranking != nullptr && *ranking == "signed";
  if (find_attribute<double>(results, "/circuit", "cpr") != nullptr) {
    text += fmt::format(" and {} of {}'s", *circuits->embeddings_otherwise, by_score ? "CMD" : "CPR");
  }
  const bool resample = attribute<std::string>(results, "/circuit", "ablation") == "resample";
  return text + (resample ? ": circuits of fewer nodes have F(C) = F(∅)\n"
                          : ": circuits of fewer nodes compute from the same input for every prompt\n");
}

/// "Pearson 0.912 (0.801 to 0.953)", of a kind's agreement; empty where the file does not have it.
std::string statistic_text(const ResultsFile& results, const std::string& group, const std::string& name,
                           const std::string& title) {
  const std::vector<std::string>& names = values<std::string>(results, group + "/statistic");
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return "";
  const auto of = [&](const char* which) {
    const Dataset* all = results.find(group + "/value" + which);
    return all == nullptr ? std::nan("") : values<double>(*all).at(static_cast<std::size_t>(found - names.begin()));
  };
  const std::string interval = interval_text(of("_low"), of("_high"));
  const std::string value = std::isnan(of("")) ? "–" : decimals(of(""), shown_decimals);
  return title + " " + value + (interval.empty() ? "" : " (" + interval + ")");
}

}  // namespace

std::string circuit_lines(const ResultsFile& results, const StoredNodes& nodes) {
  const std::string table = circuit_table(results);
  return table.empty() ? table : table + among_lines(results, nodes);
}

std::string agreement_lines(const ResultsFile& results, const StoredNodes& nodes) {
  std::string text;
  for (const NodeTable& table : nodes.layout().tables()) {
    const std::string group = stored_group(table.kind, "agreement");
    const Dataset* layers = results.find(group + "/layer");
    if (layers == nullptr || results.find(group + "/statistic") == nullptr) continue;
    std::vector<std::string> parts;
    for (const auto& [name, title] : {std::pair{"pearson", "Pearson"}, {"spearman", "Spearman"}}) {
      if (std::string part = statistic_text(results, group, name, title); !part.empty()) parts.push_back(part);
    }
    if (parts.empty()) continue;
    text += fmt::format("{}agreement    with exact patching of {} sampled {}: {}\n", text.empty() ? "\n" : "",
                        layers->shape.at(0), name_of(table.kind), join(parts));
  }
  return text;
}

std::string steering_line(const ResultsFile& results) {
  const Dataset* metric = results.find("/steering/metric");
  const Dataset* nodes = results.find("/steering/layer");
  const Dataset* factor = results.find("/steering/factor");
  if (metric == nullptr || nodes == nullptr || factor == nullptr || factor->shape.at(0) == 0) return "";
  const std::vector<double>& factors = values<double>(*factor);
  const auto pairs = static_cast<std::size_t>(metric->shape.at(1));
  const auto told = [&](std::vector<double>::const_iterator one) {
    const auto first = static_cast<std::size_t>(one - factors.begin()) * pairs;
    double sum = 0;
    for (std::size_t pair = 0; pair < pairs; ++pair) sum += values<float>(*metric).at(first + pair);
    return fmt::format("mean m {} with factor {:g}", decimals(sum / static_cast<double>(pairs), shown_decimals), *one);
  };
  const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
  const std::int64_t count = nodes->shape.at(0);
  return fmt::format("steering     of {} {}: {}{}\n", count, count == 1 ? "node" : "nodes", told(least),
                     least == most ? "" : ", " + told(most));
}

}  // namespace tributary::detail
