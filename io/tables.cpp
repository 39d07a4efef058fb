// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/tables.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "common/errors.h"
#include "io/page/page_parts.h"

namespace tributary {
namespace {

/// A cell's text, and whether there is a value at all.
struct CellText {
  bool there = false;
  bool quoted = false;  // JSON: a string
  std::string text;
};

CellText text_of(const Cell& cell) {
  return std::visit(
      [](const auto& value) -> CellText {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::monostate>) return {};
        if constexpr (std::is_same_v<T, std::string>) return {true, true, value};
        if constexpr (std::is_same_v<T, std::int64_t>) return {true, false, fmt::format("{}", value)};
        if constexpr (std::is_floating_point_v<T>) {
          if (!std::isfinite(value)) return {};
          return {true, false, fmt::format("{}", value)};
        }
        return {};
      },
      cell);
}

/// JSON text that may stand inside <script>: no "<", so no end tag and no comment.
std::string json_string(const std::string& text) {
  const std::string json = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe;
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string csv_field(const CellText& cell) {
  if (cell.text.find_first_of(",\"\r\n") == std::string::npos) return cell.text;
  std::string quoted = "\"";
  for (const char c : cell.text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string word_of(Column::Type type) {
  switch (type) {
    case Column::Type::text:
      return "text";
    case Column::Type::integer:
      return "integer";
    case Column::Type::number:
      return "number";
  }
  return "";
}

std::string json_of(const Table& table) {
  std::string json =
      fmt::format(R"({{"name":{},"meaning":{},"columns":[)", json_string(table.name), json_string(table.meaning));
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const Column& column = table.columns[c];
    json += fmt::format(R"({}{{"name":{},"type":"{}","unit":{},"meaning":{},"values":[)", c == 0 ? "" : ",",
                        json_string(column.name), word_of(column.type), json_string(column.unit),
                        json_string(column.meaning));
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      const CellText cell = text_of(table.rows[r][c]);
      if (r > 0) json += ',';
      json += !cell.there ? "null" : cell.quoted ? json_string(cell.text) : cell.text;
    }
    json += "]}";
  }
  return json + "]}";
}

bool fits(const Cell& cell, Column::Type type) {
  if (std::holds_alternative<std::monostate>(cell)) return true;
  switch (type) {
    case Column::Type::text:
      return std::holds_alternative<std::string>(cell);
    case Column::Type::integer:
      return std::holds_alternative<std::int64_t>(cell);
    case Column::Type::number:
      return std::holds_alternative<double>(cell) || std::holds_alternative<float>(cell);
  }
  return false;
}

/// Text as HTML.
std::string escaped(const std::string& text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  TRIBUTARY_EXPECT(row.size() == columns.size(), "table " + name + ": a cell a column");
  for (std::size_t c = 0; c < row.size(); ++c) {
    TRIBUTARY_EXPECT(fits(row[c], columns[c].type), "table " + name + ": column " + columns[c].name + " has a type");
  }
  rows.push_back(std::move(row));
}

std::string csv_of(const Table& table) {
  std::string csv;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    csv += (c == 0 ? "" : ",") + csv_field({true, true, table.columns[c].name});
  }
  csv += '\n';
  for (const std::vector<Cell>& row : table.rows) {
    for (std::size_t c = 0; c < row.size(); ++c) csv += (c == 0 ? "" : ",") + csv_field(text_of(row[c]));
    csv += '\n';
  }
  return csv;
}

std::string json_of(const Document& document) {
  std::string json = fmt::format(R"({{"schema":1,"kind":"{}","title":{},"generator":{},"made":{},"notes":[)",
                                 document.kind == Document::Kind::run ? "run" : "sweep", json_string(document.title),
                                 json_string(document.generator), json_string(document.made));
  for (std::size_t i = 0; i < document.notes.size(); ++i) json += (i == 0 ? "" : ",") + json_string(document.notes[i]);
  json += "],\"tables\":[";
  for (std::size_t i = 0; i < document.tables.size(); ++i)
    json += (i == 0 ? "\n" : ",\n") + json_of(document.tables[i]);
  return json + "\n]}\n";
}

std::string_view chart_script() { return detail::page_plotly(); }

std::string page_of(const Document& document, const std::string& address) {
  const bool inside = address.empty();
  const std::vector<std::pair<std::string_view, std::string>> parts = {
      {"{{title}}", escaped(document.title)},
      {"{{style}}", std::string(detail::page_style())},
      {"{{script_files}}", inside ? "" : "'self' file:"},
      {"{{plotly}}", inside ? "<script>" + std::string(chart_script()) + "</script>"
                            : "<script src=\"" + escaped(address) + "\"></script>"},
      {"{{data}}", json_of(document)},
      {"{{script}}", std::string(detail::page_script())},
  };
  const std::string_view skeleton = detail::page_skeleton();
  std::string page;
  for (std::size_t at = 0; at < skeleton.size();) {  // in one pass: text that was put in is not searched for marks
    bool found = false;
    for (const auto& [marker, text] : parts) {
      if (skeleton.compare(at, marker.size(), marker) != 0) continue;
      page += text;
      at += marker.size();
      found = true;
      break;
    }
    if (!found) page += skeleton[at++];
  }
  return page;
}

}  // namespace tributary
