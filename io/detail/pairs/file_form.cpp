// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/file_form.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tributary::detail::pairs {
namespace {

constexpr std::string_view white = " \t\r";

/// Lines that are not blank, without the white space around them.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t first = line.find_first_not_of(white);
    if (first == std::string_view::npos) continue;
    lines.push_back(line.substr(first, line.find_last_not_of(white) + 1 - first));
  }
  return lines;
}

}  // namespace

const char* const wanted_form =
    "give one JSON object a line: {\"clean_prefix\": …, \"patch_prefix\": …, \"clean_answer\": …, \"patch_answer\": …}";

std::string other_form(std::string_view content) {
  const std::vector<std::string_view> lines = lines_of(content);
  if (lines.empty()) return {};
  const std::string_view first = lines.front();
  const std::string advice = std::string("; ") + wanted_form;
  if (first.starts_with('[')) return "is a JSON array" + advice + " (`jq -c '.[]'` takes an array apart so)";
  const bool goes_on = first == "{" && lines.size() > 1 && lines[1].starts_with('"');
  if (goes_on) return "has JSON objects that go over several lines" + advice + " (`jq -c .` writes them so)";
  const bool has_objects =
      std::any_of(lines.begin(), lines.end(), [](std::string_view line) { return line.starts_with('{'); });
  if (has_objects || first.find_first_of(",;\t") == std::string_view::npos) return {};
  return "looks like a CSV file" + advice + " (Python's csv.DictReader and json.dumps make them of its rows)";
}

}  // namespace tributary::detail::pairs
