// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The byte-level alphabet: one printable character for each of the 256 bytes, in which vocabularies
// of byte-level BPE are written ("Ġhot" is " hot").
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tributary::detail::tokenizer {

/// Each byte as its character of the alphabet, in UTF-8.
std::string to_byte_level(std::string_view bytes);

/// The bytes that characters of the alphabet stand for; nothing when a character is none of them.
std::optional<std::string> from_byte_level(std::string_view characters);

/// The text with every longest piece that cannot be UTF-8 replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view bytes);

}  // namespace tributary::detail::tokenizer
