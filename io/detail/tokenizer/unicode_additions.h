// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizers are defined with Oniguruma's character tables (Unicode 16); PCRE2 may bring older ones,
// in which some 10,000 newer characters are unassigned and would be split differently. Before matching
// they are replaced by older characters of the same category and the same length in bytes.
#pragma once

#include <string>
#include <string_view>

namespace tributary::detail::tokenizer {

/// The character itself, or the older one that stands in for it.
char32_t with_stand_in(char32_t character);

/// The text itself, or, when it holds characters that need a stand-in, `storage` filled with a text of
/// the same length that splits as Oniguruma splits the original.
std::string_view with_stand_ins(std::string_view text, std::string& storage);

}  // namespace tributary::detail::tokenizer
