// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/byte_level.h"

#include <array>
#include <cstddef>

#include "common/text.h"
#include "io/detail/base/utf8.h"

namespace tributary::detail::tokenizer {
namespace {

constexpr std::size_t kLargestCharacter = 0x143;

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int, kLargestCharacter + 1> byte{};
};

/// Printable Latin-1 stands for itself; the other bytes take the characters from U+0100 on, in order.
constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    const char32_t character = printable ? static_cast<char32_t>(byte) : next++;
    alphabet.character[static_cast<std::size_t>(byte)] = character;
    alphabet.byte[character] = byte;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();
static_assert(kAlphabet.character[' '] == U'Ġ' && kAlphabet.byte[kLargestCharacter] == 0xAD);

/// Length of the longest front that could be the beginning of a valid character (at least one byte).
std::size_t broken_character_length(std::string_view bytes) {
  // The second byte decides on overlong forms, surrogates and the end of Unicode: completing the
  // sequence with continuation bytes shows whether this beginning can still become a character.
  std::size_t length = 1;
  const std::size_t whole = utf8_length(bytes.front());
  while (length < whole && length < bytes.size()) {
    std::string completed(bytes.substr(0, length + 1));
    completed.resize(whole, '\x80');
    if (first_invalid_utf8(completed)) break;
    ++length;
  }
  return length;
}

}  // namespace

std::string to_byte_level(std::string_view bytes) {
  std::string characters;
  characters.reserve(bytes.size() + bytes.size() / 2);
  for (const char byte : bytes) append_utf8(characters, kAlphabet.character[static_cast<unsigned char>(byte)]);
  return characters;
}

std::optional<std::string> from_byte_level(std::string_view characters) {
  std::string bytes;
  for (std::size_t at = 0; at < characters.size(); at += utf8_length(characters[at])) {
    const char32_t character = front_code_point(characters.substr(at));
    if (character > kLargestCharacter || kAlphabet.byte[character] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[character]);
  }
  return bytes;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  while (const auto fault = first_invalid_utf8(bytes)) {
    text += bytes.substr(0, *fault);
    text += "\uFFFD";
    bytes.remove_prefix(*fault + broken_character_length(bytes.substr(*fault)));
  }
  return text += bytes;
}

}  // namespace tributary::detail::tokenizer
