// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "attribution/circuit/ranking.h"
#include "common/text.h"
#include "runner/report/detail/first_nodes.h"
#include "runner/report/detail/performance.h"
#include "runner/report/detail/results_access.h"
#include "runner/report/detail/stored_nodes.h"
#include "runner/report/detail/summary_lines.h"

namespace tributary {

using detail::attribute;

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

/// What tells whether a score holds and what its neuron does, as columns; nothing where the file does not tell.
class MoreOfNodes {
 public:
  MoreOfNodes(const ResultsFile& results, const detail::StoredNodes& nodes)
      : first_(results),
        noun_(nodes.noun_of_one()),
        place_(nodes.layout().kept() == Positions::keep ? "layer/position/index" : "layer/index"),
        error_(nodes.of_all("standard_error")),
        sign_(nodes.of_all("sign_share")) {}

  [[nodiscard]] std::string title() const {
    return std::string(spread() ? "    s.e.  sign" : "") + (first_.there() ? "  mean |Δ|  promotes" : "");
  }

  /// What the columns are, a line each.
  [[nodiscard]] std::string legend() const {
    std::string text;
    if (noun_ != "neuron") {
      text += fmt::format(
          "  node      kind:{}, as steering.nodes takes it; features and errors have their dictionary's number for the "
          "layer\n",
          place_);
    }
    if (spread()) {
      text += "  s.e.      standard error of the score over pairs\n";
      text += "  sign      share of the pairs whose own score has its sign\n";
    }
    if (first_.there()) {
      const char* const what = noun_ == "neuron"
                                   ? "a positive value of the neuron raises most, and a negative one lowers"
                                   : "its output raises most: that of a neuron or a feature for a positive "
                                     "value, of another node for its mean difference";
      text += fmt::format("  mean |Δ|  how far apart the {}'s values on a pair's two prompts are\n", noun_);
      text += fmt::format("  promotes  tokens whose logits {}\n", what);
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
  std::string noun_, place_;
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

}  // namespace

std::string summary_of(const ResultsFile& results) {
  const std::string warning = detail::performance_warning(results);
  const detail::StoredNodes nodes(results);
  return detail::performance_lines(results) + (warning.empty() ? "" : "  warning: " + warning + "\n") +
         headline(results) + pairs_line(results) + detail::error_lines(results, nodes) + top_table(results, nodes) +
         detail::circuit_lines(results, nodes) + detail::agreement_lines(results, nodes) +
         detail::steering_line(results);
}

}  // namespace tributary
