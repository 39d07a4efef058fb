// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>

#include "common/text.h"
#include "runner/results/schema.h"

namespace tributary {
namespace {

/// A row of cells, and a line of its own below it.
struct Line {
  std::vector<std::string> cells;
  std::string below;
};

/// Characters on a terminal: the table holds no wide and no combining ones, so each code point takes one place.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

/// Cells in columns that are two spaces apart.
std::string aligned(const std::vector<Line>& lines) {
  std::vector<std::size_t> widths;
  for (const Line& line : lines) {
    widths.resize(std::max(widths.size(), line.cells.size()), 0);
    for (std::size_t c = 0; c < line.cells.size(); ++c) widths[c] = std::max(widths[c], width_of(line.cells[c]));
  }
  std::string text;
  for (const Line& line : lines) {
    for (std::size_t c = 0; c < line.cells.size(); ++c) {
      text += line.cells[c];
      if (c + 1 < line.cells.size()) text.append(widths[c] - width_of(line.cells[c]) + 2, ' ');
    }
    text += '\n';
    if (!line.below.empty()) text += "    " + line.below + '\n';
  }
  return text;
}

std::string axes_of(const DatasetRow& row) {
  const std::string usual = join(row.axes);
  return row.other_axes.empty() ? usual : usual + "; " + join(row.other_axes) + " where " + row.other_axes_when;
}

std::string length_of(const AxisRow& row) {
  if (row.length != 0) return std::to_string(row.length);
  if (!row.as_in.empty()) return "as in " + row.as_in;
  if (!row.split.empty()) return "the rows of /pairs with split " + row.split;
  return "any";
}

}  // namespace

std::string describe(const ResultsSchema& schema) {
  std::vector<Line> datasets = {{{"dataset", "type", "unit", "axes", "when"}, "what"}};
  for (const DatasetRow& row : schema.datasets) {
    datasets.push_back(
        {{row.path, name_of(row.type), row.units.empty() ? "-" : row.units, axes_of(row), row.when}, row.long_name});
  }
  std::vector<Line> attributes = {{{"attribute of", "name", "type", "when", "what"}, ""}};
  for (const AttributeRow& row : schema.attributes) {
    attributes.push_back({{row.owner, row.name, name_of(row.type), row.when, row.meaning}, ""});
  }
  std::vector<Line> axes = {{{"axis in", "name", "length", "what it counts"}, ""}};
  for (const AxisRow& row : schema.axes) axes.push_back({{row.group, row.name, length_of(row), row.meaning}, ""});
  return aligned(datasets) + '\n' + aligned(attributes) + '\n' + aligned(axes);
}

}  // namespace tributary
