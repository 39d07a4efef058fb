// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tables with named, described columns, and a document made of them: what a report shows and an export holds. One
// document gives CSV, JSON and the page, so that they cannot differ. docs/tables.md has the JSON's schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tributary {

/// Nothing is a missing value; NaN is written like it. float and double keep exactly the digits they need.
using Cell = std::variant<std::monostate, std::string, std::int64_t, double, float>;

struct Column {
  enum class Type { text, integer, number };
  std::string name;
  Type type = Type::number;
  std::string unit;  //!< "logits", "fraction", "1"; empty: none
  std::string meaning;
};

struct Table {
  std::string name;
  std::string meaning;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows = {};

  /// ContractViolation when there are not as many cells as columns, or one is not of its column's type.
  void add(std::vector<Cell> row);
};

struct Document {
  enum class Kind { run, sweep } kind = Kind::run;
  std::string title;
  std::string generator;           //!< program and version
  std::string made;                //!< when, UTC
  std::vector<std::string> notes;  //!< what is missing
  std::vector<Table> tables = {};
};

/// RFC 4180: a header line, commas, quotes where needed, lines end in LF; missing values are empty.
std::string csv_of(const Table& table);

/// The document as one JSON object, column by column. Missing values are null.
std::string json_of(const Document& document);

/// The document as one HTML page that needs no network, and no other file but the chart script where that lies outside.
/// chart_script: its address, seen from the page; empty: it is inside.
std::string page_of(const Document& document, const std::string& chart_script = {});

/// The script that draws the charts of all pages, a few megabytes.
std::string_view chart_script();

}  // namespace tributary
