// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/named_rows.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tributary::detail {
namespace {

/// A column that says in words what a number beside it means.
struct Name {
  const char* number;  // the column with the number
  const char* name;    // the new column
  const char* table;   // where the words are: its first column with that number …
  const char* key;
  const char* words;  // … and this one with the words
};

constexpr Name added_names[] = {
    {"run", "run_name", "runs", "run", "name"},     {"run", "method", "runs", "run", "method"},
    {"run_a", "method_a", "runs", "run", "method"}, {"run_b", "method_b", "runs", "run", "method"},
    {"data", "data_name", "data", "data", "name"},
};

/// Place of a column; as many as there are where there is none.
std::size_t place_of(const Table& table, const std::string& column) {
  const auto found =
      std::find_if(table.columns.begin(), table.columns.end(), [&](const Column& one) { return one.name == column; });
  return static_cast<std::size_t>(found - table.columns.begin());
}

/// The words by number.
std::map<Cell, Cell> words_of(const Document& document, const Name& name) {
  std::map<Cell, Cell> words;
  for (const Table& table : document.tables) {
    if (table.name != name.table) continue;
    const std::size_t key = place_of(table, name.key);
    const std::size_t text = place_of(table, name.words);
    for (const std::vector<Cell>& row : table.rows) words.emplace(row.at(key), row.at(text));
  }
  return words;
}

}  // namespace

Table with_names(const Table& table, const Document& document) {
  Table named = table;
  for (const Name& name : added_names) {
    const std::size_t number = place_of(named, name.number);
    const bool has = place_of(named, name.name) < named.columns.size();  // `runs` knows its methods
    if (number == named.columns.size() || has || table.name == name.table) continue;
    std::size_t place = number + 1;
    while (place < named.columns.size() && place_of(table, named.columns[place].name) == table.columns.size()) ++place;
    const std::string meaning = std::string("of ") + name.number + ": " + name.words + " in the table " + name.table;
    named.columns.insert(named.columns.begin() + static_cast<std::ptrdiff_t>(place),
                         {name.name, Column::Type::text, "", meaning});
    const std::map<Cell, Cell> words = words_of(document, name);
    for (std::vector<Cell>& row : named.rows) {
      const auto found = words.find(row[number]);
      row.insert(row.begin() + static_cast<std::ptrdiff_t>(place), found == words.end() ? Cell() : found->second);
    }
  }
  return named;
}

}  // namespace tributary::detail
