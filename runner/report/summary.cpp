// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "attribution/circuit/ranking.h"
#include "common/text.h"
#include "runner/report/detail/performance.h"
#include "runner/report/detail/results_access.h"
#include "runner/report/detail/token_text.h"

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
  if (count("skipped") > 0) line += fmt::format(", {} skipped as unfit", count("skipped"));
  if (count("overlapping") > 0) line += fmt::format(", {} held-out pairs also in training", count("overlapping"));
  const auto* shared = detail::find_attribute<std::int64_t>(results, "/pairs", "shared_prompts");
  const auto* prompts = detail::find_attribute<std::int64_t>(results, "/pairs", "test_prompts");
  if (shared != nullptr && prompts != nullptr && *shared > 0) {
    line += fmt::format("; of {} different held-out prompts {} are also prompts of training pairs", *prompts, *shared);
  }
  return line + "\n";
}

/// Mean |residual| (or gap) over pairs and layers.
std::string error_line(const ResultsFile& results) {
  for (const auto& [name, label] : {std::pair{"residual", "residual     "}, {"linearisation_gap", "gap          "}}) {
    const Dataset* table = results.find(std::string("/attribution/") + name);
    if (table == nullptr) continue;
    double sum = 0;
    for (const float value : values<float>(*table)) sum += std::abs(static_cast<double>(value));
    return fmt::format("{}mean |sum of scores − true difference| {:.4g} logits\n", label,
                       sum / static_cast<double>(values<float>(*table).size()));
  }
  return "";
}

/// Pairs and layers whose adaptive quadrature did not meet the tolerance.
std::string unconverged_lines(const ResultsFile& results) {
  constexpr std::size_t named_layers = 5;
  const Dataset* table = results.find("/attribution/converged");
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
  std::string text = fmt::format(
      "unconverged  {} of {} integrals missed the tolerance at max_points, counted from 0:", count, met.size());
  std::size_t named = 0;
  for (const auto& [layer, pairs] : open) {
    if (++named > named_layers) return text + fmt::format("; and {} more layers\n", open.size() - named_layers);
    text += (named > 1 ? ";" : "") + (by_layer ? fmt::format(" layer {}:", layer) : std::string()) + " pairs " +
            in_ranges(pairs);
  }
  return text + "\n";
}

/// Layers in which no rule that the pilot tried met the tolerance.
std::string pilot_line(const ResultsFile& results) {
  const auto* ratios = detail::find_attribute<std::vector<double>>(results, "/attribution", "pilot_ratio");
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
  return fmt::format("pilot        warning: no rule met the tolerance{}; the finest misses it {:.3g} times over\n",
                     where, worst);
}

/// What the neurons of the first nodes do, as columns; nothing where the file does not tell.
class FirstNeurons {
 public:
  explicit FirstNeurons(const ResultsFile& results)
      : promoted_(results.find("/top/promoted")), value_(results.find("/top/value")) {}

  [[nodiscard]] std::string title() const { return there() ? "     clean  counterf.  promotes" : ""; }
  [[nodiscard]] std::string legend() const {
    return there()
               ? "  clean, counterf.: the neuron's mean value on these training prompts; promotes: tokens whose logits "
                 "its output raises\n  most by itself when the value is positive, and lowers when it is negative\n"
               : "";
  }
  [[nodiscard]] std::string cells(std::size_t rank) const {
    if (!there() || std::cmp_greater_equal(rank, promoted_->shape.at(0))) return "";
    const auto places = static_cast<std::size_t>(promoted_->shape.at(1));
    return fmt::format("  {:>8.3g}  {:>9.3g}  {}", mean(rank, 0), mean(rank, 1),
                       detail::quoted(values<std::string>(*promoted_), rank * places, std::min(top_tokens, places)));
  }

 private:
  [[nodiscard]] bool there() const { return promoted_ != nullptr && value_ != nullptr; }
  [[nodiscard]] double mean(std::size_t rank, std::size_t prompt) const {  // value [rank, pair, run]
    const auto pairs = static_cast<std::size_t>(value_->shape.at(1));
    double sum = 0;
    for (std::size_t pair = 0; pair < pairs; ++pair)
      sum += values<float>(*value_).at((rank * pairs + pair) * 2 + prompt);
    return sum / static_cast<double>(pairs);
  }

  const Dataset* promoted_;
  const Dataset* value_;
};

std::string top_table(const ResultsFile& results) {
  const Dataset& scores = detail::dataset_of(results, "/attribution/scores");
  const std::vector<float>& score = values<float>(scores);
  const std::int64_t positions = scores.shape.at(1);
  const std::int64_t neurons = scores.shape.at(2);
  auto order = ranked(score, Ranking::absolute);
  order.resize(static_cast<std::size_t>(count_of_scored(score)));
  if (std::all_of(order.begin(), order.end(),
                  [&](std::int64_t node) { return score[static_cast<std::size_t>(node)] == 0; }))
    return fmt::format("\n  all {} scores are 0: none of these nodes comes first\n", order.size());
  const FirstNeurons first(results);
  std::string text = "\n  rank  layer  position  neuron     score" + first.title() + "\n";
  for (std::size_t i = 0; i < std::min(top_rows, order.size()); ++i) {
    const std::int64_t flat = order[i];
    const std::int64_t position = flat / neurons % positions;
    text += fmt::format("  {:>4}  {:>5}  {:>8}  {:>6}  {:>+8.4f}{}\n", i + 1, flat / neurons / positions,
                        positions == 1 ? "all" : std::to_string(position), flat % neurons,
                        score[static_cast<std::size_t>(flat)], first.cells(i));
  }
  return text + first.legend();
}

std::string circuit_table(const ResultsFile& results) {
  const Dataset* count = results.find("/circuit/count");
  if (count == nullptr) return "";
  std::string text = "\n       k  faithfulness  completeness\n";
  const auto& faithfulness = values<double>(results, "/circuit/faithfulness");
  const auto& completeness = values<double>(results, "/circuit/completeness");
  for (std::size_t i = 0; i < faithfulness.size(); ++i) {
    text += fmt::format("  {:>6}  {:>12.3f}  {:>12.3f}\n", values<std::int64_t>(*count).at(i), faithfulness[i],
                        completeness.at(i));
  }
  const auto* scored = detail::find_attribute<std::int64_t>(results, "/circuit", "scored");
  const auto* nodes = detail::find_attribute<std::int64_t>(results, "/circuit", "nodes");
  if (scored != nullptr && nodes != nullptr && *scored < *nodes) {
    text += fmt::format("  {} of {} nodes have a score: circuits of more, CPR and CMD are nan\n", *scored, *nodes);
  }
  if (attribute<std::int64_t>(results, "/circuit", "measurable") == 0) {
    return text +
           "  ablating every neuron changes the metric by less than 0.05 logits, so the ratios mean nothing here\n";
  }
  return text + fmt::format("  CPR {:.3f}, CMD {:.3f} (ideal 0); ablation {}\n",
                            attribute<double>(results, "/circuit", "cpr"),
                            attribute<double>(results, "/circuit", "cmd"),
                            attribute<std::string>(results, "/circuit", "ablation"));
}

}  // namespace

std::string summary_of(const ResultsFile& results) {
  const std::string warning = detail::performance_warning(results);
  return detail::performance_lines(results) + (warning.empty() ? "" : "  warning: " + warning + "\n") +
         headline(results) + pairs_line(results) + error_line(results) + unconverged_lines(results) +
         pilot_line(results) + top_table(results) + circuit_table(results);
}

}  // namespace tributary
