// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tokens in a line of text.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/text.h"

namespace tributary::detail {

/// ' hot': in quotes, because most tokens begin with a space; line ends and other control characters as escapes, which
/// neither break a line nor reach a terminal.
inline std::string quoted(const std::string& token) {
  std::string text = "'";
  for (const char c : token) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return printable(text, LineEnds::escape) + "'";
}

/// "' hot', ' warm'": `count` tokens from place `first` on.
inline std::string quoted(const std::vector<std::string>& tokens, std::size_t first, std::size_t count) {
  std::string text;
  for (std::size_t i = first; i < first + count; ++i) text += (i == first ? "" : ", ") + quoted(tokens.at(i));
  return text;
}

}  // namespace tributary::detail
