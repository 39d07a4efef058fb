// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/scores/score_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/base/problem_list.h"
#include "io/detail/scores/numbers.h"

namespace tributary::detail::scores {
namespace {

constexpr std::array<std::string_view, 6> columns = {"kind", "layer", "position", "index", "score", "dictionary"};
constexpr std::size_t needed_columns = 5;  // the last one may be missing

/// The cells of a line, without the quotes around a cell: none of ours holds a comma or a quote.
std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t first = 0; first <= line.size();) {
    const std::size_t end = std::min(line.find(',', first), line.size());
    std::string_view cell = line.substr(first, end - first);
    if (cell.size() > 1 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    cells.push_back(cell);
    first = end + 1;
  }
  return cells;
}

std::string shown(std::string_view cell) { return "'" + printable(cell, LineEnds::escape) + "'"; }

/// Which cell of a line each of `columns` is, of as many as there are. Throws UserError.
std::vector<std::size_t> places_of(std::string_view header, const std::string& where) {
  const std::vector<std::string_view> names = cells_of(header);
  std::vector<std::size_t> places;
  bool fits = true;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto found = std::find(names.begin(), names.end(), columns[i]);
    fits = fits && (found != names.end() || i >= needed_columns);
    if (found != names.end()) places.push_back(static_cast<std::size_t>(found - names.begin()));
  }
  if (fits && names.size() == places.size()) return places;
  throw UserError(where, "the first line is " + shown(header.substr(0, 200)) +
                             " (it names the columns, which are kind, layer, position, index and score, and of "
                             "features maybe dictionary, in any order); write that line, and these columns alone");
}

/// One line at a time, without its end.
class ScoreLines {
 public:
  explicit ScoreLines(std::string_view text) : rest_(text) {}

  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line = rest_.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++number_;
    return true;
  }
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

}  // namespace

std::vector<ListedScore> read_score_list(std::string_view text, const std::string& file) {
  if (const auto invalid = first_invalid_utf8(text)) {
    throw UserError(file, fmt::format("byte {} is no UTF-8 text (a table of scores is); save it as UTF-8", *invalid));
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  ScoreLines lines(text);
  std::string_view line;
  if (!lines.next(line)) throw UserError(file, "is empty; write the line kind,layer,position,index,score, and nodes");
  const auto places = places_of(line, file + ":1");
  std::vector<ListedScore> list;
  ProblemList problems;
  while (lines.next(line)) {
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", file, lines.number());
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() != places.size()) {
      problems.add(where, fmt::format("has {} cells where there are {} columns; give each column its cell",
                                      cells.size(), places.size()));
      continue;
    }
    const auto cell = [&](std::size_t column) { return cells[places[column]]; };
    const auto whole = [&](std::size_t column, std::optional<std::int64_t> when_empty) {
      const std::string_view content = cell(column);
      const auto number = content.empty() ? when_empty : number_in<std::int64_t>(content);
      if (!number) {
        problems.add(
            where, fmt::format("{} is {}, no whole number; nodes are counted from 0", columns[column], shown(content)));
      }
      return number.value_or(0);
    };
    const std::int64_t dictionary = places.size() > needed_columns ? whole(5, -1) : -1;
    const std::optional<std::int64_t> no_layer = dictionary < 0 ? std::nullopt : std::optional<std::int64_t>(-1);
    ListedScore score{std::string(cell(0)), whole(1, no_layer), whole(2, -1), whole(3, {}), 0, where, dictionary};
    const auto number = number_in<double>(cell(4));
    if (!number || !std::isfinite(*number)) {
      problems.add(where,
                   fmt::format("score is {}, no finite number (nothing can be ranked by it); write one, or leave "
                               "the node out: its score is then 0",
                               shown(cell(4))));
      continue;
    }
    score.score = *number;
    list.push_back(std::move(score));
  }
  problems.throw_if_any();
  return list;
}

}  // namespace tributary::detail::scores
