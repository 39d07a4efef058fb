// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/case_folds.h"

#include <unicode/unistr.h>

#include <algorithm>
#include <map>

namespace tributary::detail::tokenizer {
namespace {

icu::UnicodeString folded(char32_t character) {
  return icu::UnicodeString(static_cast<UChar32>(character)).foldCase(U_FOLD_CASE_DEFAULT);
}

/// The characters that fold to several, with these. All have at most four digits.
const std::map<char32_t, icu::UnicodeString>& long_folds() {
  static const std::map<char32_t, icu::UnicodeString> folds = [] {
    std::map<char32_t, icu::UnicodeString> found;
    for (char32_t c = 0; c < 0xD800; ++c) {
      if (icu::UnicodeString fold = folded(c); fold.length() > 1) found.emplace(c, std::move(fold));
    }
    for (char32_t c = 0xE000; c <= 0xFFFF; ++c) {
      if (icu::UnicodeString fold = folded(c); fold.length() > 1) found.emplace(c, std::move(fold));
    }
    return found;
  }();
  return folds;
}

}  // namespace

bool hold_long_fold(std::u32string_view letters) {
  icu::UnicodeString text;
  for (const char32_t letter : letters) text += folded(letter);
  return std::any_of(long_folds().begin(), long_folds().end(),
                     [&text](const auto& entry) { return text.indexOf(entry.second) >= 0; });
}

bool range_holds_long_fold(char32_t first, char32_t last) {
  const auto next = long_folds().lower_bound(first);
  return next != long_folds().end() && next->first <= last;
}

}  // namespace tributary::detail::tokenizer
