// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A compiled regular expression that cuts text into matches and the gaps between them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/tokenizer/regex_dialect.h"
#include "io/detail/tokenizer/unicode_additions.h"

struct pcre2_real_code_8;  // not pcre2.h, which wants a macro before every inclusion

namespace tributary::detail::tokenizer {

/// A stretch of the text, in bytes.
struct Span {
  enum class Kind { match, gap };
  std::size_t begin, end;
  Kind kind;
};

/// Immutable; may be used from several threads at once.
class Pattern {
 public:
  /// A regular expression in Oniguruma's spelling. Throws UserError(where, …) when it is broken or not supported.
  static Pattern from_regex(std::string_view regex, const std::string& where);
  /// Matches exactly this text.
  static Pattern from_text(std::string_view text, const std::string& where);

  /// Matches and gaps, in order, that together cover the whole text (valid UTF-8). Matches can be empty.
  /// Throws UserError when matching takes more work or memory than any tokenizer's pattern needs, so that no match is
  /// missed silently and none takes for ever.
  [[nodiscard]] std::vector<Span> spans(std::string_view text) const;

 private:
  Pattern(Translation translation, const std::string& where);

  std::string source_;
  StandIns stand_ins_;
  std::string where_;
  std::shared_ptr<const pcre2_real_code_8> code_;
};

}  // namespace tributary::detail::tokenizer
