// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/spacing.h"

#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>

#include <cstdint>

namespace tributary::detail::pairs {
namespace {

bool is_ascii_digit(UChar32 c) { return c >= '0' && c <= '9'; }

/// A letter of a script with capitals, or a digit as such scripts write them.
bool is_of_a_word(UChar32 c) {
  if (is_ascii_digit(c)) return true;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(c, &status);
  return u_isalpha(c) != 0 && U_SUCCESS(status) != 0 && uscript_isCased(script) != 0;
}

bool is_combining(UChar32 c) { return (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0; }

/// Punctuation that a space follows where a new word does. A straight quotation mark is one where it closes; the
/// apostrophe is none, as words go on after it.
bool is_closing(UChar32 c, UChar32 before) {
  constexpr std::u32string_view always = U".,;:!?…)]}»”%";
  if (c == '"') return before != 0 && u_isUWhiteSpace(before) == 0;
  return always.find(static_cast<char32_t>(c)) != std::u32string_view::npos;
}

/// The character before this offset that is no combining mark, the offset moved to it; 0 at the beginning.
UChar32 step_back(const icu::UnicodeString& text, std::int32_t& at) {
  while (at > 0) {
    at = text.moveIndex32(at, -1);
    if (const UChar32 c = text.char32At(at); !is_combining(c)) return c;
  }
  return 0;
}

icu::UnicodeString decoded(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
}

/// Whether the text ends in a word, with closing punctuation or without; the punctuation's script is that of the letter
/// before it.
bool ends_in_a_word(const icu::UnicodeString& text) {
  std::int32_t at = text.length();
  UChar32 last = step_back(text, at);
  std::int32_t further = at;
  if (UChar32 before = step_back(text, further); is_closing(last, before)) {
    while (before != 0 && u_isalnum(before) == 0) before = step_back(text, further);
    last = before;
  }
  return is_of_a_word(last);
}

/// '17', '3.' or '12:' before a digit: it may be one number.
bool ends_in_a_number(const icu::UnicodeString& text) {
  std::int32_t at = text.length();
  const UChar32 last = step_back(text, at);
  if (is_ascii_digit(last)) return true;
  return (last == '.' || last == ',' || last == ':') && is_ascii_digit(step_back(text, at));
}

}  // namespace

Spacing spacing_between(std::string_view prompt, std::string_view answer) {
  const icu::UnicodeString before = decoded(prompt), after = decoded(answer);
  if (before.isEmpty() || after.isEmpty()) return Spacing::plausible;
  const UChar32 first = after.char32At(0);
  if (first == ' ') {
    const UChar32 last = before.char32At(before.moveIndex32(before.length(), -1));
    return u_isUWhiteSpace(last) != 0 ? Spacing::doubled : Spacing::plausible;
  }
  if (!is_of_a_word(first) || !ends_in_a_word(before)) return Spacing::plausible;
  return is_ascii_digit(first) && ends_in_a_number(before) ? Spacing::plausible : Spacing::missing;
}

bool is_blank(std::string_view text) { return !text.empty() && text.find_first_not_of(' ') == std::string_view::npos; }

}  // namespace tributary::detail::pairs
