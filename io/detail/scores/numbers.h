// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Numbers as files hold them: little-endian floats side by side, and decimal texts.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace tributary::detail::scores {

/// `bytes` as a list of T, little-endian as every machine that this program runs on.
template <typename T>
std::vector<double> numbers_in(std::string_view bytes) {
  std::vector<double> numbers(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    T number;
    std::memcpy(&number, bytes.data() + i * sizeof(T), sizeof(T));
    numbers[i] = number;
  }
  return numbers;
}

/// How many numbers an array of this shape has; nothing when that is more than `most`.
inline std::optional<std::size_t> count_of(const std::vector<std::int64_t>& shape, std::size_t most) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) {
    if (__builtin_mul_overflow(count, static_cast<std::size_t>(extent), &count)) return std::nullopt;
  }
  return count > most ? std::nullopt : std::optional(count);
}

/// The whole of a text as a number; nothing where it is none. "inf" and "nan" are numbers here.
template <typename T>
std::optional<T> number_in(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace tributary::detail::scores
