// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/byte_tokens.h"

#include <charconv>

#include <fmt/format.h>

namespace tributary::detail::tokenizer {

std::string byte_token(char byte) { return fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)); }

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  const std::string_view digits = token.substr(3, 2);
  unsigned byte = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return static_cast<char>(byte);
}

}  // namespace tributary::detail::tokenizer
