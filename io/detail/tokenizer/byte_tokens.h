// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The tokens "<0x00>" to "<0xFF>", by which vocabularies of characters write what they lack, byte by byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tributary::detail::tokenizer {

/// "<0xE9>" of the byte E9.
std::string byte_token(char byte);

/// The byte that a token stands for, in small or capital digits; nothing when it is no such token.
std::optional<char> byte_of_token(std::string_view token);

}  // namespace tributary::detail::tokenizer
