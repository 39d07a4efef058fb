// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The pre-tokeniser of a tokenizer.json: cuts text into the words that tokens never cross. Without one a text is one
// word, which tokenizers made by SentencePiece rely on.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/metaspace.h"
#include "io/detail/tokenizer/model.h"
#include "io/detail/tokenizer/punctuation.h"
#include "io/detail/tokenizer/split_rule.h"

namespace tributary::detail::tokenizer {

/// Immutable; may be used from several threads at once.
class PreTokenizer {
 public:
  /// Without a description texts are not cut. Throws UserError for a kind it does not know.
  explicit PreTokenizer(const std::optional<JsonView>& description);

  /// How the words are written: in bytes where a step is ByteLevel.
  [[nodiscard]] Words alphabet() const;

  /// The words of valid UTF-8 text, in order. beginning: so many bytes at its front come from the first character of
  /// the whole text.
  [[nodiscard]] std::vector<std::string> words(std::string_view text, std::size_t beginning) const;

 private:
  struct ByteLevel {
    enum class Prefix { none, space };
    Prefix prefix;
    std::optional<SplitRule> rule;
  };
  /// Cuts at single characters: marks, white space.
  struct CharacterSplit {
    FindSpans find;
    SplitBehavior behavior;
  };
  using Step = std::variant<SplitRule, CharacterSplit, ByteLevel, Metaspace>;

  static std::vector<Piece> apply(const SplitRule& rule, const Piece& piece);
  static std::vector<Piece> apply(const CharacterSplit& rule, const Piece& piece);
  static std::vector<Piece> apply(const ByteLevel& step, const Piece& piece);
  static std::vector<Piece> apply(const Metaspace& step, const Piece& piece) { return step.apply(piece); }
  void add_steps(const JsonView& description);

  std::vector<Step> steps_;
};

}  // namespace tributary::detail::tokenizer
