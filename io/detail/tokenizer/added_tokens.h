// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Added tokens ("<|im_start|>"), special or not, are searched for in the text before anything else happens to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/bpe.h"
#include "io/detail/tokenizer/normalizer.h"

namespace tributary::detail::tokenizer {

struct AddedToken {
  std::string content;
  std::int64_t id;
  bool single_word;  //!< it is not found inside a word
  bool lstrip;       //!< it swallows the spaces before it
  bool rstrip;       //!< it swallows the spaces behind it
  bool normalized;   //!< its normalised form is searched for in the normalised text
};

/// A piece of text, or the added token found in its place.
struct TextOrToken {
  std::string_view text;
  std::optional<std::int64_t> id;
};

/// Finds tokens from left to right, the longest of those that begin at one place.
class TokenFinder {
 public:
  void add(std::string form, const AddedToken& token);

  /// Cuts the text at the tokens in it. Pieces are in order, no piece of text is empty, and they point into `text`.
  [[nodiscard]] std::vector<TextOrToken> split(std::string_view text) const;

 private:
  struct Entry {
    std::string form;
    AddedToken token;
  };
  [[nodiscard]] const Entry* longest_at_front(std::string_view text) const;

  std::unordered_map<char, std::vector<Entry>> by_first_byte_;  //!< each list holds the longest form first
};

/// Immutable; may be used from several threads at once.
class AddedTokens {
 public:
  /// Throws UserError when the file gives a token another id than the vocabulary does.
  AddedTokens(const std::optional<JsonView>& description, const BpeModel& model, const Normalizer& normalizer);

  [[nodiscard]] const TokenFinder& in_raw_text() const { return in_raw_text_; }
  [[nodiscard]] const TokenFinder& in_normalized_text() const { return in_normalized_text_; }
  /// Nothing when this is no added token.
  [[nodiscard]] std::optional<std::string_view> content_of(std::int64_t id) const;
  /// How many of them the model's vocabulary lacks.
  [[nodiscard]] std::int64_t beyond_vocabulary() const { return beyond_vocabulary_; }

 private:
  void read(const std::vector<JsonView>& descriptions, const BpeModel& model);

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::int64_t, std::string> contents_;
  std::int64_t beyond_vocabulary_ = 0;
  TokenFinder in_raw_text_;
  TokenFinder in_normalized_text_;
};

}  // namespace tributary::detail::tokenizer
