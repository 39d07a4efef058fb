// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The pre-tokeniser of a byte-level tokenizer.json: cuts text into the words that merging never crosses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/punctuation.h"
#include "io/detail/tokenizer/split_rule.h"

namespace tributary::detail::tokenizer {

/// Immutable; may be used from several threads at once.
class PreTokenizer {
 public:
  /// Throws UserError for a kind it does not know, and when no step is ByteLevel.
  explicit PreTokenizer(const JsonView& description);

  /// The words of valid UTF-8 text, in order, in the byte-level alphabet.
  [[nodiscard]] std::vector<std::string> words(std::string_view text) const;

 private:
  struct ByteLevel {
    enum class Prefix { none, space };
    Prefix prefix;
    std::optional<SplitRule> rule;
  };
  struct Punctuation {
    FindSpans find;
    SplitBehavior behavior;
  };
  using Step = std::variant<SplitRule, Punctuation, ByteLevel>;

  static std::vector<std::string> apply(const SplitRule& rule, const std::string& piece);
  static std::vector<std::string> apply(const Punctuation& rule, const std::string& piece);
  static std::vector<std::string> apply(const ByteLevel& step, const std::string& piece);
  void add_steps(const JsonView& description);

  std::vector<Step> steps_;
};

}  // namespace tributary::detail::tokenizer
