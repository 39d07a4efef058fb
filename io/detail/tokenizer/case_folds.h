// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where case does not count, Oniguruma takes some characters for several others: ß for ss, ﬁ for fi. PCRE2 does not.
#pragma once

#include <string_view>

namespace tributary::detail::tokenizer {

/// Whether letters that stand side by side hold such a character, or such several ones, in whatever case.
bool hold_long_fold(std::u32string_view letters);

/// Whether one of the characters first … last folds to several.
bool range_holds_long_fold(char32_t first, char32_t last);

}  // namespace tributary::detail::tokenizer
