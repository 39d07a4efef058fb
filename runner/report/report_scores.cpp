// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "runner/report/detail/mean_magnitude.h"
#include "runner/report/detail/report_runs.h"

namespace tributary::detail {
namespace {

constexpr std::size_t shown_pairs = 8;

using Type = Column::Type;

/// Σ |score| over the nodes of a layer and position; embeddings, which lie in no layer, are counted where there is
/// nothing else.
std::vector<double> magnitudes(const ReportRun& run) {
  std::vector<double> sums(static_cast<std::size_t>(run.layers() * run.positions()), 0);
  const NodeLayout& layout = run.layout();
  for (std::size_t kind = 0; kind < layout.kinds(); ++kind) {
    const NodeTable& table = layout.tables()[kind];
    if (table.kind == NodeKind::embeddings && layout.kinds() > 1) continue;
    const std::int64_t before = layout.first(kind);
    for (std::int64_t i = 0; i < layout.nodes(kind); ++i) {
      const float score = run.scores()[static_cast<std::size_t>(before + i)];
      if (std::isnan(score)) continue;
      const Node node = layout.node(before + i);
      const std::int64_t layer = run.stored->layer_of(node);
      sums[static_cast<std::size_t>(layer * run.positions() + std::max<std::int64_t>(node.position, 0))] +=
          std::abs(score);
    }
  }
  return sums;
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

/// Whether dictionaries are one a layer.
bool is_by_layer(const ReportRun& run) {
  const std::vector<std::int64_t>& layers = run.stored->dictionary_layers();
  for (std::int64_t d = 0; d < std::ssize(layers); ++d) {
    if (layers[static_cast<std::size_t>(d)] != d) return false;
  }
  return true;
}

/// A table [pair, layer] of the first kind of nodes that has one; null where none has such columns.
const Dataset* table_of_layers(const ReportRun& run, const std::string& name) {
  for (std::size_t kind = 0; kind < run.layout().kinds(); ++kind) {
    const Dataset* table = run.stored->find(kind, name);
    if (run.layout().tables()[kind].kind == NodeKind::errors && !is_by_layer(run)) continue;
    if (table != nullptr && table->shape.size() == 2 && table->shape[1] == run.layers()) return table;
  }
  return nullptr;
}

/// Mean |.| of each layer over the pairs that were measured; empty where there is no such table.
std::vector<double> layer_magnitudes(const ReportRun& run, const std::string& name) {
  return mean_magnitude(table_of_layers(run, name)).columns;
}

/// Mean over pairs of a column of whole numbers; missing where there is no such table.
Cell column_mean(const ReportRun& run, const std::string& name, std::int64_t column) {
  const Dataset* table = table_of_layers(run, name);
  if (table == nullptr) return {};
  const std::vector<std::int64_t>& all = values<std::int64_t>(*table);
  double sum = 0;
  for (std::int64_t pair = 0; pair < table->shape[0]; ++pair) {
    sum += static_cast<double>(all.at(static_cast<std::size_t>(pair * table->shape[1] + column)));
  }
  return sum / static_cast<double>(table->shape[0]);
}

Cell number_at(const std::vector<double>& numbers, std::int64_t place) {
  return numbers.empty() ? Cell() : Cell(numbers.at(static_cast<std::size_t>(place)));
}

}  // namespace

Table heat_table(const Runs& runs) {
  Table table{.name = "heat",
              .meaning = "Where the scores are: Σ |score| over the nodes of a layer and position.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"position", Type::integer, "1", "position, from 0"},
                  {"magnitude", Type::number, "logits", "Σ |score|"},
              }};
  for (const ReportRun& run : runs) {
    if (!run.has_nodes() || !run.keeps_positions()) continue;
    const std::vector<double> sums = magnitudes(run);
    for (std::int64_t i = 0; i < std::ssize(sums); ++i) {
      const auto magnitude = static_cast<float>(sums[static_cast<std::size_t>(i)]);  // a picture needs no more digits
      table.add({run.run, i / run.positions(), i % run.positions(), magnitude});
    }
  }
  return table;
}

Table layers_table(const Runs& runs) {
  Table table{.name = "layers",
              .meaning = "Each layer's scores, how far they are from adding up, and what they cost.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"layer", Type::integer, "1", "layer, from 0"},
                  {"magnitude", Type::number, "logits", "Σ |score| of the layer"},
                  {"residual", Type::number, "logits", "mean over pairs of |sum of scores − true difference|"},
                  {"gap", Type::number, "logits", "the same of a method whose scores are not meant to sum to it"},
                  {"evaluations", Type::number, "1", "gradient evaluations a pair, mean"},
              }};
  for (const ReportRun& run : runs) {
    if (!run.has_nodes()) continue;
    const std::vector<double> sums = magnitudes(run);
    const std::vector<double> residual = layer_magnitudes(run, "residual");
    const std::vector<double> gap = layer_magnitudes(run, "linearisation_gap");
    for (std::int64_t layer = 0; layer < run.layers(); ++layer) {
      const auto first = sums.begin() + layer * run.positions();
      table.add({run.run, layer, sum_of({first, first + run.positions()}), number_at(residual, layer),
                 number_at(gap, layer), column_mean(run, "evaluations", layer)});
    }
  }
  return table;
}

Table inputs_table(const Runs& runs) {
  Table table{.name = "inputs",
              .meaning = "Input integrated gradients of the tokens of the first training pairs.",
              .columns = {
                  {"run", Type::integer, "1", "run"},
                  {"pair", Type::integer, "1", "place in /pairs of results.h5"},
                  {"position", Type::integer, "1", "position, from 0"},
                  {"token", Type::text, "", "of the clean prompt"},
                  {"score", Type::number, "logits", "its attribution; positive supports the clean answer"},
              }};
  for (const ReportRun& run : runs) {
    const Dataset* inputs = run.find("/attribution/inputs");
    if (inputs == nullptr) continue;
    const std::vector<std::size_t> pairs = run.pairs_of("train");
    const auto positions = static_cast<std::size_t>(inputs->shape.at(1));
    const auto width = static_cast<std::size_t>(dataset_of(*run.results, "/pairs/clean_ids").shape.at(1));
    for (std::size_t i = 0; i < std::min(shown_pairs, pairs.size()); ++i) {
      for (std::size_t position = 0; position < std::min(positions, width); ++position) {
        const std::size_t place = pairs[i] * width + position;
        if (values<std::int64_t>(*run.results, "/pairs/clean_ids").at(place) < 0) break;
        table.add({run.run, static_cast<std::int64_t>(pairs[i]), static_cast<std::int64_t>(position),
                   values<std::string>(*run.results, "/pairs/clean_tokens").at(place),
                   values<float>(*inputs).at(i * positions + position)});
      }
    }
  }
  return table;
}

}  // namespace tributary::detail
