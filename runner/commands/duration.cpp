// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

#include "common/errors.h"

namespace tributary {
namespace {

/// A number of at most nine digits and nothing else.
std::optional<std::int64_t> number_of(std::string_view digits) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && digits.size() <= 9 && digits.front() != '-' ? std::optional(number) : std::nullopt;
}

/// "90s", "45m", "2h".
std::optional<std::int64_t> with_unit(std::string_view text) {
  static const std::map<char, std::int64_t> units = {{'s', 1}, {'m', 60}, {'h', 3600}};
  const auto unit = text.empty() ? units.end() : units.find(text.back());
  if (unit == units.end()) return std::nullopt;
  const std::optional<std::int64_t> number = number_of(text.substr(0, text.size() - 1));
  return number ? std::optional(*number * unit->second) : std::nullopt;
}

/// "M:SS", "H:MM:SS", "D-HH:MM:SS".
std::optional<std::int64_t> as_clock(std::string_view text) {
  std::int64_t seconds = 0;
  int fields = 0;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const std::optional<std::int64_t> days = number_of(text.substr(0, dash));
    if (!days) return std::nullopt;
    seconds = *days * 24;
    text.remove_prefix(dash + 1);
    fields = std::count(text.begin(), text.end(), ':') == 2 ? 0 : 9;  // days need hours
  }
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view field = text.substr(0, colon);
    const std::optional<std::int64_t> number = number_of(field);
    const bool last = colon == std::string_view::npos;
    if (!number || (last && field.size() != 2)) return std::nullopt;
    seconds = (fields == 0 ? seconds : seconds * 60) + *number;
    ++fields;
    if (last) break;
    text.remove_prefix(colon + 1);
  }
  return fields == 2 || fields == 3 ? std::optional(seconds) : std::nullopt;
}

}  // namespace

std::chrono::seconds parse_duration(const std::string& text) {
  if (const std::optional<std::int64_t> seconds = with_unit(text)) return std::chrono::seconds(*seconds);
  if (const std::optional<std::int64_t> seconds = as_clock(text)) return std::chrono::seconds(*seconds);
  throw UserError("--time", "'" + text + "' is no duration; write 90s, 45m, 2h, 1:30:00 or 2-12:00:00");
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto whole = static_cast<std::int64_t>(std::max(0.0, std::ceil(seconds)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{} h {:02} min", hours, minutes);
  return minutes > 0 ? fmt::format("{} min {:02} s", minutes, whole % 60) : fmt::format("{} s", whole);
}

std::chrono::seconds time_to_work(std::chrono::seconds limit) {
  return limit - std::min(std::chrono::seconds(60), limit / 10);
}

}  // namespace tributary
