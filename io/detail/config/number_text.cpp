// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/number_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>
#include <system_error>

namespace tributary::detail::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool all_digits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_digit); }

/// Without a leading '+', which std::from_chars does not take.
std::string_view without_plus(std::string_view text) { return text.starts_with('+') ? text.substr(1) : text; }

std::string_view without_sign(std::string_view text) {
  return text.starts_with('+') || text.starts_with('-') ? text.substr(1) : text;
}

template <typename T>
struct Parsed {
  T value = {};
  std::errc error = std::errc::invalid_argument;  //!< also when characters are left over
};

template <typename T>
Parsed<T> parse_whole(std::string_view text) {
  Parsed<T> parsed;
  const std::string_view digits = without_plus(text);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.value);
  if (end == digits.data() + digits.size()) parsed.error = error;
  return parsed;
}

/// [digits][.digits][e[sign]digits] with a digit before or after the point. Stricter than from_chars, which knows inf
/// and nan.
bool is_decimal(std::string_view text) {
  text = without_sign(text);
  const std::size_t exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    if (!all_digits(without_sign(text.substr(exponent + 1)))) return false;
    text = text.substr(0, exponent);
  }
  if (const std::size_t point = text.find('.'); point != std::string_view::npos) {
    const std::string_view before = text.substr(0, point);
    const std::string_view after = text.substr(point + 1);
    return (before.empty() || all_digits(before)) && (after.empty() || all_digits(after)) &&
           before.size() + after.size() > 0;
  }
  return all_digits(text);
}

/// "010": octal to some readers of YAML, decimal to others.
bool has_leading_zero(std::string_view text) {
  const std::string_view digits = without_sign(text);
  return digits.size() > 1 && digits[0] == '0' && is_digit(digits[1]);
}

std::string without_leading_zeros(std::string_view text) {
  const std::string_view digits = without_sign(text);
  std::size_t first = 0;
  while (first + 1 < digits.size() && digits[first] == '0' && is_digit(digits[first + 1])) ++first;
  return (text.starts_with('-') ? "-" : "") + std::string(digits.substr(first));
}

/// The integer that a text in another notation most likely means: 1e3, 1.0, 1_000, 0x10.
std::optional<std::int64_t> likely_integer(std::string_view text) {
  std::string bare;
  std::copy_if(text.begin(), text.end(), std::back_inserter(bare),
               [](char c) { return c != '_' && c != ',' && c != '\''; });
  if (bare.starts_with("0x")) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(bare.data() + 2, bare.data() + bare.size(), value, 16);
    if (error == std::errc{} && end == bare.data() + bare.size()) return value;
  }
  if (!is_decimal(bare)) return std::nullopt;
  const auto parsed = parse_whole<double>(bare);
  constexpr double kExactlyCounted = 9007199254740992.0;  // 2^53
  const bool whole = parsed.error == std::errc{} && std::trunc(parsed.value) == parsed.value;
  if (!whole || std::abs(parsed.value) > kExactlyCounted) return std::nullopt;
  return static_cast<std::int64_t>(parsed.value);
}

}  // namespace

std::variant<std::int64_t, NotANumber> parse_integer(std::string_view text) {
  if (!all_digits(without_sign(text))) {
    const auto likely = likely_integer(text);
    return NotANumber{likely ? " (an integer is written with digits only); write " + std::to_string(*likely) : ""};
  }
  if (has_leading_zero(text)) {
    return NotANumber{" (a leading zero means octal to some readers of YAML); write " + without_leading_zeros(text)};
  }
  const auto parsed = parse_whole<std::int64_t>(text);
  if (parsed.error != std::errc{})
    return NotANumber{" (it does not fit into 64 bits); write one of at most 9223372036854775807"};
  return parsed.value;
}

std::variant<double, NotANumber> parse_number(std::string_view text) {
  if (!is_decimal(text)) {
    const auto likely = likely_integer(text);
    return NotANumber{likely ? " (a number is decimal digits, '.' and an exponent); write " + std::to_string(*likely)
                             : ""};
  }
  if (has_leading_zero(text)) {
    return NotANumber{" (a leading zero means octal to some readers of YAML); write " + without_leading_zeros(text)};
  }
  const auto parsed = parse_whole<double>(text);
  if (parsed.error != std::errc{}) {
    return NotANumber{" (it does not fit into double precision); write one between 1e-307 and 1e308 in size, or 0"};
  }
  return parsed.value;
}

std::string number_text(double number) {
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return {buffer.data(), end};
}

}  // namespace tributary::detail::config
