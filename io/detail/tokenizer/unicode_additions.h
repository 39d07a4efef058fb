// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizers are defined with Oniguruma's character tables (Unicode 16); PCRE2 may bring older ones,
// in which some 10,000 newer characters are unassigned and would be split differently. Before matching
// they are replaced by older characters of the same category and the same length in bytes, where a pattern asks for
// categories. Literals and ranges need no tables: beside categories they must mean the same of both characters.
#pragma once

#include <string>
#include <string_view>

namespace tributary::detail::tokenizer {

/// Which characters are replaced: a pattern of literals needs none, \s only those that are taken for spaces.
enum class StandIns { none, for_spaces, for_categories };

/// The character itself, or the older one that stands in for it.
char32_t with_stand_in(char32_t character);

/// The text itself, or, when it holds characters that need a stand-in, `storage` filled with a text of
/// the same length that splits as Oniguruma splits the original.
std::string_view with_stand_ins(std::string_view text, std::string& storage, StandIns stand_ins);

/// Whether each replaced character is among first … last exactly where its stand-in is.
bool keeps_apart(char32_t first, char32_t last, StandIns stand_ins);

/// Whether one of first … last has another case that PCRE2's older tables may not know.
bool holds_new_case(char32_t first, char32_t last);

}  // namespace tributary::detail::tokenizer
