// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/duration.h"

#include <algorithm>
#include <regex>

#include "common/errors.h"

namespace tributary {
namespace {

std::int64_t number_of(const std::ssub_match& digits) { return digits.matched ? std::stoll(digits.str()) : 0; }

}  // namespace

std::chrono::seconds parse_duration(const std::string& text) {
  static const std::regex with_unit(R"((\d{1,9})([smh]))");
  static const std::regex clock(R"((?:(\d{1,5})-)?(?:(\d{1,5}):)?(\d{1,5}):(\d{2}))");
  std::smatch parts;
  if (std::regex_match(text, parts, with_unit)) {
    const std::int64_t seconds = parts[2] == "s" ? 1 : parts[2] == "m" ? 60 : 3600;
    return std::chrono::seconds(number_of(parts[1]) * seconds);
  }
  if (std::regex_match(text, parts, clock)) {
    const std::int64_t hours = 24 * number_of(parts[1]) + number_of(parts[2]);
    return std::chrono::seconds(3600 * hours + 60 * number_of(parts[3]) + number_of(parts[4]));
  }
  throw UserError("--time", "'" + text + "' is no duration; write 90s, 45m, 2h, 1:30:00 or 2-12:00:00");
}

std::chrono::seconds time_to_work(std::chrono::seconds limit) {
  return limit - std::min(std::chrono::seconds(60), limit / 10);
}

}  // namespace tributary
