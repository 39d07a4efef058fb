// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/text_places.h"

#include <algorithm>

namespace tributary::detail {
namespace {

/// Of UTF-8; a byte that is no UTF-8 counts as a character unless it looks like the inside of one.
bool starts_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

}  // namespace

TextPlaces::TextPlaces(std::string_view text) : text_(text) {
  for (const char byte : text) {
    if (starts_character(byte)) ++characters_;
    if (byte == '\n') line_starts_.push_back(characters_);
  }
}

Place TextPlaces::at(int character) const {
  const int position = std::clamp(character, 0, characters_);
  const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), position);
  return {static_cast<int>(next - line_starts_.begin()), position - *(next - 1) + 1};
}

Place TextPlaces::at_byte(std::size_t offset) const {
  const std::string_view before = text_.substr(0, offset);
  return at(static_cast<int>(std::count_if(before.begin(), before.end(), starts_character)));
}

}  // namespace tributary::detail
