// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tokens in a line of text.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <vector>

namespace tributary::detail {

/// ' hot': in quotes, because most tokens begin with a space; line ends and other control characters as escapes, which
/// neither break a line nor reach a terminal.
inline std::string quoted(const std::string& token) {
  std::string text = "'";
  for (const char c : token) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\'' || c == '\\') {
      text += std::string("\\") + c;
    } else if (byte < 0x20 || byte == 0x7F) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text + "'";
}

/// "' hot', ' warm'": `count` tokens from place `first` on.
inline std::string quoted(const std::vector<std::string>& tokens, std::size_t first, std::size_t count) {
  std::string text;
  for (std::size_t i = first; i < first + count; ++i) text += (i == first ? "" : ", ") + quoted(tokens.at(i));
  return text;
}

}  // namespace tributary::detail
