// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Added tokens ("<|im_start|>"), special or not, are searched for in the text before anything else happens to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/model.h"
#include "io/detail/tokenizer/normalizer.h"

namespace tributary::detail::tokenizer {

struct AddedToken {
  std::string content;
  bool single_word = false;  //!< it is not found inside a word
  bool lstrip = false;       //!< it swallows the spaces before it
  bool rstrip = false;       //!< it swallows the spaces behind it
  bool normalized = false;   //!< its normalised form is searched for in the normalised text
  bool special = false;      //!< it is one that post-processors add

  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

/// A token with the id that a file gives it.
struct DeclaredToken {
  std::int64_t id;
  AddedToken token;
};

/// The `added_tokens` of a tokenizer.json, in file order. Throws UserError.
std::vector<DeclaredToken> read_added_tokens(const std::optional<JsonView>& description);

/// A piece of text, or the added token found in its place.
struct TextOrToken {
  std::string_view text;
  std::optional<std::int64_t> id;
};

/// Whether special tokens are found in texts, or only others.
enum class FindSpecial { yes, no };

/// Finds tokens from left to right, the longest of those that begin at one place.
class TokenFinder {
 public:
  /// Of two tokens with one form the first counts.
  void add(const std::string& form, const AddedToken& token, std::int64_t id, FindSpecial special);

  /// Cuts the text at the tokens in it. Pieces are in order, no piece of text is empty, and they point into `text`.
  [[nodiscard]] std::vector<TextOrToken> split(std::string_view text) const;

 private:
  struct Entry {
    std::int64_t id;
    bool single_word, lstrip, rstrip;
    bool never;  //!< its place is skipped: a special token where those are not found
  };
  struct Found {
    std::size_t length;
    const Entry* entry;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  [[nodiscard]] std::optional<Found> longest_at_front(std::string_view text) const;

  std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> entries_;  //!< by form
  std::unordered_map<char, std::vector<std::size_t>> lengths_;  //!< of the forms with this first byte, longest first
};

/// Immutable; may be used from several threads at once.
class AddedTokens {
 public:
  /// Tokens in the order in which they are added. Each takes its id from the vocabulary, else the next free one,
  /// whatever a file says; of several descriptions of one token the last counts.
  AddedTokens(const std::vector<AddedToken>& tokens, const Model& model, const Normalizer& normalizer,
              FindSpecial special);

  [[nodiscard]] const TokenFinder& in_raw_text() const { return in_raw_text_; }
  [[nodiscard]] const TokenFinder& in_normalized_text() const { return in_normalized_text_; }
  /// Nothing when this is no added token.
  [[nodiscard]] std::optional<std::string_view> content_of(std::int64_t id) const;
  /// Nothing when this is no added token.
  [[nodiscard]] std::optional<std::int64_t> id_of(const std::string& content) const;
  /// How many of them the model's vocabulary lacks.
  [[nodiscard]] std::int64_t beyond_vocabulary() const { return beyond_vocabulary_; }

 private:
  struct Held {
    std::int64_t id;
    AddedToken token;
  };
  std::vector<Held> tokens_;
  std::unordered_map<std::string, std::size_t> places_;  //!< in tokens_, by content
  std::unordered_map<std::int64_t, std::string> contents_;
  std::int64_t beyond_vocabulary_ = 0;
  TokenFinder in_raw_text_;
  TokenFinder in_normalized_text_;
};

}  // namespace tributary::detail::tokenizer
