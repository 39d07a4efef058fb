// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cstddef>
#include <functional>

#include "io/detail/base/utf8.h"
#include "io/detail/tokenizer/unicode_additions.h"

namespace tributary::detail::tokenizer {
namespace {

bool is_space(char32_t character) { return u_isUWhiteSpace(static_cast<UChar32>(character)) != 0; }

/// Unicode's definition of a word character (UTS 18).
bool is_word_character(char32_t character) {
  const auto c = static_cast<UChar32>(with_stand_in(character));  // ICU's tables may be older, too
  constexpr std::uint32_t categories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(c) & categories) != 0;
}

bool is_inside_word(std::string_view before, std::string_view behind) {
  return (!before.empty() && is_word_character(back_code_point(before))) ||
         (!behind.empty() && is_word_character(front_code_point(behind)));
}

std::size_t length_of_spaces_at_front(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_space(front_code_point(text.substr(length)))) length += utf8_length(text[length]);
  return length;
}

std::string_view without_spaces_at_end(std::string_view text) {
  while (!text.empty() && is_space(back_code_point(text))) {
    while (is_continuation(text.back())) text.remove_suffix(1);
    text.remove_suffix(1);
  }
  return text;
}

AddedToken read_added_token(const JsonView& description) {
  return {.content = description.at("content").text(),
          .single_word = description.at("single_word").flag(),
          .lstrip = description.at("lstrip").flag(),
          .rstrip = description.at("rstrip").flag(),
          .normalized = description.at("normalized").flag(),
          .special = description.flag("special", false)};
}

}  // namespace

std::vector<DeclaredToken> read_added_tokens(const std::optional<JsonView>& description) {
  std::vector<DeclaredToken> tokens;
  if (!description) return tokens;
  for (const JsonView& token : description->elements()) {
    tokens.push_back({token.at("id").id(), read_added_token(token)});
  }
  return tokens;
}

void TokenFinder::add(const std::string& form, const AddedToken& token, std::int64_t id, FindSpecial special) {
  if (form.empty()) return;
  const bool never = special == FindSpecial::no && token.special;
  if (!entries_.emplace(form, Entry{id, token.single_word, token.lstrip, token.rstrip, never}).second) return;
  std::vector<std::size_t>& lengths = lengths_[form.front()];
  const auto place = std::lower_bound(lengths.begin(), lengths.end(), form.size(), std::greater<>());
  if (place == lengths.end() || *place != form.size()) lengths.insert(place, form.size());
}

std::optional<TokenFinder::Found> TokenFinder::longest_at_front(std::string_view text) const {
  const auto lengths = lengths_.find(text.front());
  if (lengths == lengths_.end()) return std::nullopt;
  for (const std::size_t length : lengths->second) {
    if (length > text.size()) continue;
    if (const auto entry = entries_.find(text.substr(0, length)); entry != entries_.end()) {
      return Found{length, &entry->second};
    }
  }
  return std::nullopt;
}

std::vector<TextOrToken> TokenFinder::split(std::string_view text) const {
  std::vector<TextOrToken> pieces;
  std::size_t done = 0;  // everything before is in `pieces`
  const auto add_text_until = [&](std::size_t end) {
    if (done < end) pieces.push_back({text.substr(done, end - done), std::nullopt});
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto found = longest_at_front(text.substr(at));
    if (!found) {
      ++at;
      continue;
    }
    const Entry& token = *found->entry;
    const std::size_t begin = at;
    const std::size_t end = at + found->length;
    // The `tokenizers` package goes on behind the match even when it then discards it, but not behind the spaces that
    // rstrip swallows: a token that begins with these spaces is still found.
    at = end;
    if (token.never) continue;
    if (token.single_word && is_inside_word(text.substr(0, begin), text.substr(end))) continue;
    add_text_until(token.lstrip ? without_spaces_at_end(text.substr(0, begin)).size() : begin);
    pieces.push_back({{}, token.id});
    done = token.rstrip ? end + length_of_spaces_at_front(text.substr(end)) : end;
  }
  add_text_until(text.size());
  return pieces;
}

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Model& model, const Normalizer& normalizer,
                         FindSpecial special) {
  std::int64_t next_id = model.size();
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    const auto [place, is_new] = places_.emplace(token.content, tokens_.size());
    if (!is_new) {
      AddedToken& known = tokens_[place->second].token;
      const bool was_special = known.special;
      known = token;
      known.special = known.special || was_special;
      continue;
    }
    const auto in_vocabulary = model.id_of(token.content);
    const std::int64_t id = in_vocabulary ? *in_vocabulary : next_id;
    if (!in_vocabulary) ++beyond_vocabulary_;
    next_id = std::max(next_id, id + 1);
    tokens_.push_back({id, token});
  }
  for (const auto& [id, token] : tokens_) {
    contents_.emplace(id, token.content);
    TokenFinder& finder = token.normalized ? in_normalized_text_ : in_raw_text_;
    finder.add(token.normalized ? normalizer.normalize(token.content).text : token.content, token, id, special);
  }
}

std::optional<std::string_view> AddedTokens::content_of(std::int64_t id) const {
  const auto entry = contents_.find(id);
  if (entry == contents_.end()) return std::nullopt;
  return entry->second;
}

std::optional<std::int64_t> AddedTokens::id_of(const std::string& content) const {
  const auto place = places_.find(content);
  if (place == places_.end()) return std::nullopt;
  return tokens_[place->second].id;
}

}  // namespace tributary::detail::tokenizer
