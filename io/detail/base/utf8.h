// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Walking through text that is known to be valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tributary::detail {

/// Bytes of the character that starts with this byte.
inline std::size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// The code point at the front of valid, non-empty UTF-8.
inline char32_t front_code_point(std::string_view text) {
  constexpr unsigned char lead_bits[] = {0x7F, 0x1F, 0x0F, 0x07};
  const std::size_t length = utf8_length(text.front());
  char32_t code_point = static_cast<unsigned char>(text.front()) & lead_bits[length - 1];
  for (std::size_t i = 1; i < length; ++i) code_point = (code_point << 6) | (text[i] & 0x3F);
  return code_point;
}

inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The code point at the end of valid, non-empty UTF-8.
inline char32_t back_code_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && is_continuation(text[at])) --at;
  return front_code_point(text.substr(at));
}

inline void append_utf8(std::string& text, char32_t code_point) {
  const auto put = [&text](char32_t bits) { text += static_cast<char>(bits); };
  const auto put_continuation = [&put](char32_t bits) { put(0x80 | (bits & 0x3F)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put_continuation(code_point);
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put_continuation(code_point >> 6);
    put_continuation(code_point);
  } else {
    put(0xF0 | (code_point >> 18));
    put_continuation(code_point >> 12);
    put_continuation(code_point >> 6);
    put_continuation(code_point);
  }
}

}  // namespace tributary::detail
