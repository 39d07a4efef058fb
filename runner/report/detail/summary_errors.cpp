// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/text.h"
#include "runner/report/detail/mean_magnitude.h"
#include "runner/report/detail/results_access.h"
#include "runner/report/detail/summary_lines.h"

namespace tributary::detail {
namespace {

/// " (heads)": the kind of nodes that a line speaks of, where there are others than neurons.
std::string nodes_named(const StoredNodes& nodes, std::size_t kind) {
  return nodes.only_neurons() ? "" : " (" + name_of(nodes.layout().tables()[kind].kind) + ")";
}

bool is_of_path(const Dataset& table) { return table.axes.back() == "path"; }

/// Errors have a column for each dictionary, which is not the layer that it reads.
bool has_dictionaries(const StoredNodes& nodes, std::size_t kind) {
  return nodes.layout().tables()[kind].kind == NodeKind::errors;
}

/// "layer 3", "dictionary 1 (resid_post 20 layer_20)": what a column of a table [pair, layer] is about.
std::string column_text(const StoredNodes& nodes, std::size_t kind, std::int64_t column) {
  if (!has_dictionaries(nodes, kind)) return fmt::format("layer {}", column);
  const std::string name = nodes.dictionary_of({column, 0, 0, NodeKind::errors});
  return fmt::format("dictionary {}", column) + (name.empty() ? "" : " (" + name + ")");
}

/// Mean |residual| (or gap) over layers and the pairs that were measured; empty where there is neither.
std::string error_text(const StoredNodes& nodes, std::size_t kind) {
  for (const auto& [name, label] : {std::pair{"residual", "residual     "}, {"linearisation_gap", "gap          "}}) {
    const Dataset* table = nodes.find(kind, name);
    if (table == nullptr) continue;
    const MeanMagnitude found = mean_magnitude(table);
    std::string line = fmt::format("{}mean |sum of scores − true difference| {:.4g}", label, found.mean);
    if (found.pairs < table->shape.front()) {
      if (found.pairs > 1) line += fmt::format(" ± {:.2g}", found.standard_error);
      line += fmt::format(" logits on {} of {} pairs", found.pairs, table->shape.front());
    } else {
      line += " logits";
    }
    if (found.columns.size() > 1) {
      const auto worst = std::max_element(found.columns.begin(), found.columns.end());
      line += fmt::format(", most in {}: {:.4g}", column_text(nodes, kind, worst - found.columns.begin()), *worst);
    }
    return line;
  }
  return "";
}

/// Whether what error_text() says is of a path that all layers share.
bool tells_of_path(const StoredNodes& nodes, std::size_t kind) {
  const Dataset* const residual = nodes.find(kind, "residual");
  const Dataset* const table = residual != nullptr ? residual : nodes.find(kind, "linearisation_gap");
  return table != nullptr && is_of_path(*table);
}

/// A line of each kind; kinds that share a path and its sum share a line.
std::string residual_lines(const StoredNodes& nodes) {
  struct Line {
    std::string text;
    bool of_path = false;
    std::vector<std::string> kinds;
  };
  std::vector<Line> lines;
  for (std::size_t kind = 0; kind < nodes.layout().kinds(); ++kind) {
    const std::string text = error_text(nodes, kind);
    if (text.empty()) continue;
    const bool of_path = tells_of_path(nodes, kind);
    const auto same = std::find_if(lines.begin(), lines.end(),
                                   [&](const Line& line) { return of_path && line.of_path && line.text == text; });
    Line& line = same == lines.end() ? lines.emplace_back(Line{text, of_path, {}}) : *same;
    line.kinds.push_back(name_of(nodes.layout().tables()[kind].kind));
  }
  std::string all;
  for (const Line& line : lines) {
    const std::string whose = nodes.only_neurons()    ? ""
                              : line.kinds.size() > 1 ? " (of the path that " + join(line.kinds) + " share)"
                                                      : " (" + line.kinds.front() + ")";
    all += line.text + whose + "\n";
  }
  return all;
}

/// Pairs and layers whose adaptive quadrature did not meet the tolerance.
std::string unconverged_lines(const StoredNodes& nodes, std::size_t kind) {
  constexpr std::size_t named_layers = 5;
  const Dataset* table = nodes.find(kind, "converged");
  if (table == nullptr) return "";
  const std::vector<std::int64_t>& met = values<std::int64_t>(*table);
  const bool by_layer = table->shape.size() == 2 && !is_of_path(*table);  // else one integral a pair
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
    if (++named > named_layers) {
      return text + fmt::format("; and {} more {}\n", open.size() - named_layers,
                                has_dictionaries(nodes, kind) ? "dictionaries" : "layers");
    }
    text += (named > 1 ? ";" : "") + (by_layer ? " " + column_text(nodes, kind, layer) + ":" : std::string()) +
            " pairs " + in_ranges(pairs);
  }
  return text + "\n";
}

/// Layers in which no rule that the pilot tried met the tolerance.
std::string pilot_line(const ResultsFile& results, const StoredNodes& nodes, std::size_t kind) {
  const std::string group = stored_group(nodes.layout().tables()[kind].kind);
  const auto* ratios = find_attribute<std::vector<double>>(results, group, "pilot_ratio");
  if (ratios == nullptr) return "";
  std::vector<std::int64_t> open;
  double worst = 0;
  for (std::size_t l = 0; l < ratios->size(); ++l) {
    if ((*ratios)[l] <= 1) continue;
    open.push_back(static_cast<std::int64_t>(l));
    worst = std::max(worst, (*ratios)[l]);
  }
  if (open.empty()) return "";
  const std::string columns = has_dictionaries(nodes, kind) ? "dictionaries " : "layers ";
  const std::string where = ratios->size() > 1 ? " in " + columns + in_ranges(open) + " (counted from 0)" : "";
  return fmt::format("pilot        warning: no rule met the tolerance{}{}; the finest misses it {:.3g} times over\n",
                     where, nodes_named(nodes, kind), worst);
}

}  // namespace

std::string error_lines(const ResultsFile& results, const StoredNodes& nodes) {
  std::string text = residual_lines(nodes);
  for (std::size_t kind = 0; kind < nodes.layout().kinds(); ++kind) {
    text += unconverged_lines(nodes, kind) + pilot_line(results, nodes, kind);
  }
  return text;
}

}  // namespace tributary::detail
