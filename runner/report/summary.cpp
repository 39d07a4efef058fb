// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "attribution/circuit/ranking.h"
#include "common/text.h"
#include "runner/report/detail/first_nodes.h"
#include "runner/report/detail/mean_magnitude.h"
#include "runner/report/detail/missing_intervals.h"
#include "runner/report/detail/performance.h"
#include "runner/report/detail/results_access.h"
#include "runner/report/detail/stored_nodes.h"

namespace tributary {

using detail::attribute;
using detail::values;

namespace {

constexpr std::size_t top_rows = 10;
constexpr std::size_t top_tokens = 3;

std::string headline(const ResultsFile& results) {
  const auto text = [&](const std::string& name) { return attribute<std::string>(results, "/attribution", name); };
  std::string line = "method       " + text("method");
  if (text("quadrature") != "none") {
    const auto steps = attribute<std::int64_t>(results, "/attribution", "steps");
    line +=
        ", " + text("quadrature") +
        (steps > 0 && text("quadrature") != "adaptive" && text("quadrature") != "pilot" ? " " + std::to_string(steps)
                                                                                        : "");
  }
  const std::vector<std::string> rules = detail::fired_rules(results);
  if (!rules.empty()) line += "; rules " + join(rules);
  return line + fmt::format("; baseline {}, metric {}\n", text("baseline"), text("metric"));
}

std::string pairs_line(const ResultsFile& results) {
  const auto count = [&](const std::string& name) { return attribute<std::int64_t>(results, "/pairs", name); };
  std::string line = fmt::format("pairs        {} training, {} held out", count("train"), count("test"));
  const auto* answer = detail::find_attribute<std::string>(results, "/pairs", "answer");
  if (answer != nullptr && *answer == "first-token") line += ", answers compared by their first token";
  if (answer != nullptr && *answer == "alone") line += ", answers compared by the first token of their text alone";
  if (count("skipped") > 0) line += fmt::format(", {} skipped as unfit", count("skipped"));
  if (count("overlapping") > 0) line += fmt::format(", {} held-out pairs also in training", count("overlapping"));
  const auto* shared = detail::find_attribute<std::int64_t>(results, "/pairs", "shared_prompts");
  const auto* prompts = detail::find_attribute<std::int64_t>(results, "/pairs", "test_prompts");
  if (shared != nullptr && prompts != nullptr && *shared > 0) {
    line += fmt::format("; of {} different held-out prompts {} are also prompts of training pairs", *prompts, *shared);
  }
  return line + "\n";
}

/// " (heads)": the kind of nodes that a line speaks of, where there are others than neurons.
std::string nodes_named(const detail::StoredNodes& nodes, std::size_t kind) {
  return nodes.only_neurons() ? "" : " (" + name_of(nodes.layout().tables()[kind].kind) + ")";
}

/// Mean |residual| (or gap) over layers and the pairs that were measured.
std::string error_line(const detail::StoredNodes& nodes, std::size_t kind) {
  for (const auto& [name, label] : {std::pair{"residual", "residual     "}, {"linearisation_gap", "gap          "}}) {
    const Dataset* table = nodes.find(kind, name);
    if (table == nullptr) continue;
    const detail::MeanMagnitude found = detail::mean_magnitude(table);
    std::string line = fmt::format("{}mean |sum of scores − true difference| {:.4g}", label, found.mean);
    if (found.pairs < table->shape.front()) {
      if (found.pairs > 1) line += fmt::format(" ± {:.2g}", found.standard_error);
      line += fmt::format(" logits on {} of {} pairs", found.pairs, table->shape.front());
    } else {
      line += " logits";
    }
    if (found.columns.size() > 1) {
      const auto worst = std::max_element(found.columns.begin(), found.columns.end());
      line += fmt::format(", most in layer {}: {:.4g}", worst - found.columns.begin(), *worst);
    }
    return line + nodes_named(nodes, kind) + "\n";
  }
  return "";
}

/// Pairs and layers whose adaptive quadrature did not meet the tolerance.
std::string unconverged_lines(const detail::StoredNodes& nodes, std::size_t kind) {
  constexpr std::size_t named_layers = 5;
  const Dataset* table = nodes.find(kind, "converged");
  if (table == nullptr) return "";
  const std::vector<std::int64_t>& met = values<std::int64_t>(*table);
  const bool by_layer = table->shape.size() == 2;  // else one integral a pair
  const std::int64_t layers = by_layer ? table->shape.at(1) : 1;
  std::map<std::int64_t, std::vector<std::int64_t>> open;  // layer → pairs
  for (std::int64_t i = 0; i < std::ssize(met); ++i) {
    if (met[static_cast<std::size_t>(i)] == 0) open[i % layers].push_back(i / layers);
  }
  if (open.empty()) return "";
  const std::ptrdiff_t count = std::count(met.begin(), met.end(), 0);
  std::string text =
      fmt::format("unconverged  {} of {} integrals{} missed the tolerance at max_points, counted from 0:", count,
                  met.size(), nodes_named(nodes, kind));
  std::size_t named = 0;
  for (const auto& [layer, pairs] : open) {
    if (++named > named_layers) return text + fmt::format("; and {} more layers\n", open.size() - named_layers);
    text += (named > 1 ? ";" : "") + (by_layer ? fmt::format(" layer {}:", layer) : std::string()) + " pairs " +
            in_ranges(pairs);
  }
  return text + "\n";
}

/// Layers in which no rule that the pilot tried met the tolerance.
std::string pilot_line(const ResultsFile& results, const detail::StoredNodes& nodes, std::size_t kind) {
  const std::string group = detail::stored_group(nodes.layout().tables()[kind].kind);
  const auto* ratios = detail::find_attribute<std::vector<double>>(results, group, "pilot_ratio");
  if (ratios == nullptr) return "";
  std::vector<std::int64_t> open;
  double worst = 0;
  for (std::size_t l = 0; l < ratios->size(); ++l) {
    if ((*ratios)[l] <= 1) continue;
    open.push_back(static_cast<std::int64_t>(l));
    worst = std::max(worst, (*ratios)[l]);
  }
  if (open.empty()) return "";
  const std::string where = ratios->size() > 1 ? " in layers " + in_ranges(open) + " (counted from 0)" : "";
  return fmt::format("pilot        warning: no rule met the tolerance{}{}; the finest misses it {:.3g} times over\n",
                     where, nodes_named(nodes, kind), worst);
}

/// What tells whether a score holds and what its neuron does, as columns; nothing where the file does not tell.
class MoreOfNodes {
 public:
  MoreOfNodes(const ResultsFile& results, const detail::StoredNodes& nodes)
      : first_(results),
        noun_(nodes.noun_of_one()),
        error_(nodes.of_all("standard_error")),
        sign_(nodes.of_all("sign_share")) {}

  [[nodiscard]] std::string title() const {
    return std::string(spread() ? "    s.e.  sign" : "") + (first_.there() ? "  mean |Δ|  promotes" : "");
  }

  [[nodiscard]] std::string legend() const {
    std::string text;
    if (spread())
      text += "  s.e.: standard error of the score over pairs; sign: share of the pairs whose own score has its sign\n";
    if (first_.there()) {
      const char* const when = noun_ == "neuron"
                                   ? "when the value is positive, and lowers when it is negative"
                                   : "with its mean difference; of a neuron or a feature, with a positive value";
      text += fmt::format(
          "  mean |Δ|: how far apart the {}'s values on a pair's two prompts are; promotes: tokens whose logits its "
          "output raises\n  most by itself {}\n",
          noun_, when);
    }
    return text;
  }

  [[nodiscard]] std::string cells(std::size_t rank, std::int64_t node) const {
    const auto place = static_cast<std::size_t>(node);
    std::string text;
    if (spread()) {
      text += fmt::format("  {:>6.2g}  {:>4.2f}", error_.at(place), sign_.at(place));
    }
    const std::optional<std::string> tokens = first_.tokens("/top/promoted", rank, top_tokens);
    return tokens ? text + fmt::format("  {:>8.3g}  {}", first_.mean_change(rank).value_or(0), *tokens) : text;
  }

 private:
  [[nodiscard]] bool spread() const { return !error_.empty() && !sign_.empty(); }

  detail::FirstNodes first_;
  std::string noun_;
  std::vector<float> error_, sign_;
};

/// Which dictionaries the first numbers of features and errors stand for.
std::string dictionaries_of(const std::vector<Node>& shown, const detail::StoredNodes& nodes) {
  std::map<std::int64_t, std::string> names;
  for (const Node& node : shown) {
    if (std::string name = nodes.dictionary_of(node); !name.empty()) names[node.layer] = std::move(name);
  }
  std::string text;
  for (const auto& [dictionary, name] : names) {
    text +=
        fmt::format("{}{} is {}", text.empty() ? "  dictionaries (the first number of features and errors): " : ", ",
                    dictionary, name);
  }
  return text.empty() ? text : text + "\n";
}

std::string top_table(const ResultsFile& results, const detail::StoredNodes& nodes) {
  const std::vector<float>& score = nodes.scores();
  auto order = ranked(score, Ranking::absolute);
  order.resize(static_cast<std::size_t>(count_of_scored(score)));
  if (std::all_of(order.begin(), order.end(),
                  [&](std::int64_t node) { return score[static_cast<std::size_t>(node)] == 0; }))
    return fmt::format("\n  all {} scores are 0: none of these nodes comes first\n", order.size());
  const MoreOfNodes more(results, nodes);
  const bool neurons = nodes.only_neurons();
  std::string text = fmt::format("\n  rank  {}     score{}\n",
                                 neurons ? "layer  position  neuron" : fmt::format("{:<24}", "node"), more.title());
  std::vector<Node> shown;
  for (std::size_t i = 0; i < std::min(top_rows, order.size()); ++i) {
    const std::int64_t place = order[i];
    const Node node = nodes.layout().node(place);
    shown.push_back(node);
    const std::string position = nodes.layout().positions() == 1 ? "all" : std::to_string(node.position);
    const std::string where = neurons ? fmt::format("{:>5}  {:>8}  {:>6}", node.layer, position, node.index)
                                      : fmt::format("{:<24}", text_of(node));
    text += fmt::format("  {:>4}  {}  {:>+8.4f}{}\n", i + 1, where, score[static_cast<std::size_t>(place)],
                        more.cells(i, place));
  }
  return text + more.legend() + dictionaries_of(shown, nodes);
}

/// A number with so many decimals, without the sign that rounding would leave before zeros.
std::string decimals(double value, int count) {
  const std::string text = fmt::format("{:.{}f}", value, count);
  return text.find_first_not_of("-0.") == std::string::npos && text.front() == '-' ? text.substr(1) : text;
}

/// "         0.300  −0.61 to 0.86 ", of a circuit; a dash where there is no interval.
std::string with_interval(const ResultsFile& results, const std::string& name, std::size_t circuit) {
  const auto of = [&](const char* which) { return values<double>(results, "/circuit/" + name + which).at(circuit); };
  const bool none = std::isnan(of("_low")) || std::isnan(of("_high"));
  return fmt::format("  {:>12}  {:<15}", decimals(of(""), 3),
                     none ? "–" : decimals(of("_low"), 2) + " to " + decimals(of("_high"), 2));
}

std::string circuit_table(const ResultsFile& results) {
  const Dataset* count = results.find("/circuit/count");
  if (count == nullptr) return "";
  std::string text = "\n       k  faithfulness  95 % interval    completeness  95 % interval\n";
  for (std::size_t i = 0; i < values<std::int64_t>(*count).size(); ++i) {
    std::string line = fmt::format("  {:>6}", values<std::int64_t>(*count)[i]);
    for (const char* const name : {"faithfulness", "completeness"}) line += with_interval(results, name, i);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (const std::string why = detail::circuits_without_interval(results); !why.empty()) text += "  " + why + "\n";
  const auto* scored = detail::find_attribute<std::int64_t>(results, "/circuit", "scored");
  const auto* nodes = detail::find_attribute<std::int64_t>(results, "/circuit", "nodes");
  if (scored != nullptr && nodes != nullptr && *scored < *nodes) {
    text += fmt::format("  {} of {} nodes have a score: circuits of more, CPR and CMD are nan\n", *scored, *nodes);
  }
  if (attribute<std::int64_t>(results, "/circuit", "measurable") == 0) {
    return text +
           "  ablating every node changes the metric by less than 0.05 logits, so the ratios mean nothing here\n";
  }
  const auto ablation = attribute<std::string>(results, "/circuit", "ablation");
  const auto* cpr = detail::find_attribute<double>(results, "/circuit", "cpr");
  const auto* cmd = detail::find_attribute<double>(results, "/circuit", "cmd");
  if (cpr == nullptr || cmd == nullptr) return text + "  ablation " + ablation + "\n";
  return text +
         fmt::format("  CPR {:.3f} (overshooting raises it, so none is best), CMD {:.3f} (ideal 0); ablation {}\n",
                     *cpr, *cmd, ablation);
}

}  // namespace

std::string summary_of(const ResultsFile& results) {
  const std::string warning = detail::performance_warning(results);
  const detail::StoredNodes nodes(results);
  std::string of_kinds;
  for (std::size_t kind = 0; kind < nodes.layout().kinds(); ++kind) {
    of_kinds += error_line(nodes, kind) + unconverged_lines(nodes, kind) + pilot_line(results, nodes, kind);
  }
  return detail::performance_lines(results) + (warning.empty() ? "" : "  warning: " + warning + "\n") +
         headline(results) + pairs_line(results) + of_kinds + top_table(results, nodes) + circuit_table(results);
}

}  // namespace tributary
