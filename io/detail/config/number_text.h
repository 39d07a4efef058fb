// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Numbers from text and back: decimal, finite, exactly one reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace tributary::detail::config {

/// Why a text is no number, and what to do: " (a leading zero …); write 10".
struct NotANumber {
  std::string hint;  //!< empty: nothing better to say than what is allowed
};

/// Decimal digits with an optional sign, in the range of 64 bits.
std::variant<std::int64_t, NotANumber> parse_integer(std::string_view text);
/// Decimal digits, point and exponent; finite.
std::variant<double, NotANumber> parse_number(std::string_view text);

/// The shortest text that reads as the same number.
std::string number_text(double number);

}  // namespace tributary::detail::config
