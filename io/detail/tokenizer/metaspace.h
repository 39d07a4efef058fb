// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The pre-tokeniser "Metaspace": SentencePiece's way with spaces, which become a visible character that also stands
// before the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/split_rule.h"

namespace tributary::detail::tokenizer {

/// What pre-tokenisers cut further.
struct Piece {
  std::string text;
  std::size_t beginning;  //!< so many bytes at its front come from the first character of the whole text; mostly 0
};

/// Views into the piece's text as pieces of their own.
std::vector<Piece> pieces_of(const Piece& piece, const std::vector<std::string_view>& views);

/// Immutable; may be used from several threads at once.
class Metaspace {
 public:
  /// Throws UserError for a replacement that is not one character, for a scheme it does not know, and where the older
  /// add_prefix_space contradicts the scheme.
  explicit Metaspace(const JsonView& description);

  [[nodiscard]] std::vector<Piece> apply(const Piece& piece) const;

  [[nodiscard]] const std::string& replacement() const { return replacement_; }

 private:
  enum class Prepend { always, first, never };

  std::string replacement_;
  Prepend prepend_ = Prepend::always;
  std::optional<SplitRule> rule_;  //!< nothing: pieces stay whole
};

}  // namespace tributary::detail::tokenizer
