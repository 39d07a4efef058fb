// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/punctuation.h"

#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <memory>

#include "common/errors.h"
#include "io/detail/base/utf8.h"

namespace tributary::detail::tokenizer {
namespace {

/// Those of the `tokenizers` package: ASCII's marks, and punctuation as of Unicode 8, of which two characters have
/// since changed their category.
constexpr const char16_t* kMarks =
    u"[[[:P:]&[:age=8.0:]][\\u0021-\\u002F\\u003A-\\u0040\\u005B-\\u0060\\u007B-\\u007E\\u166D\\U000111C9]]";

template <typename Predicate>
FindSpans find_each(Predicate is_match) {
  return [is_match](std::string_view text) {
    std::vector<Span> spans;
    std::size_t covered = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = at + utf8_length(text[at]);
      if (is_match(static_cast<UChar32>(front_code_point(text.substr(at))))) {
        if (covered < at) spans.push_back({covered, at, Span::Kind::gap});
        spans.push_back({at, end, Span::Kind::match});
        covered = end;
      }
      at = end;
    }
    if (covered < text.size()) spans.push_back({covered, text.size(), Span::Kind::gap});
    return spans;
  };
}

}  // namespace

FindSpans find_punctuation() {
  UErrorCode status = U_ZERO_ERROR;
  const auto marks = std::make_shared<icu::UnicodeSet>(kMarks, status);
  if (U_FAILURE(status)) {
    throw RuntimeFailure(std::string("ICU cannot list the marks of Unicode 8 (") + u_errorName(status) +
                         "); check that ICU and its data are installed");
  }
  marks->freeze();
  return find_each([marks](UChar32 character) { return marks->contains(character) != 0; });
}

FindSpans find_white_space() {
  return find_each([](UChar32 character) { return u_isUWhiteSpace(character) != 0; });
}

}  // namespace tributary::detail::tokenizer
