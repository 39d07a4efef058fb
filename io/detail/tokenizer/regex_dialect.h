// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Patterns in tokenizer.json are written for Oniguruma; we run PCRE2. Both read the common core alike,
// but some spellings differ silently (\h, \w, nested classes, {,n}, (?i) inside a group, (?i:ss)). This lets
// through what means the same in both and refuses the rest, so that no pattern splits differently unnoticed.
#pragma once

#include <string>
#include <string_view>

#include "io/detail/tokenizer/unicode_additions.h"

namespace tributary::detail::tokenizer {

/// A pattern in PCRE2's spelling, and which characters are to be replaced in the texts that it is matched against.
struct Translation {
  std::string pattern;
  StandIns stand_ins;
};

/// Throws UserError(where, …) naming the construct that is not supported.
Translation onig_to_pcre2(std::string_view pattern, const std::string& where);

/// A pattern that matches exactly this text.
std::string escape_for_regex(std::string_view text);

}  // namespace tributary::detail::tokenizer
