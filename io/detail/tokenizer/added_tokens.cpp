// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cstddef>

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

}  // namespace

void TokenFinder::add(std::string form, const AddedToken& token) {
  if (form.empty()) return;
  std::vector<Entry>& entries = by_first_byte_[form.front()];
  const auto place = std::find_if(entries.begin(), entries.end(),
                                  [&form](const Entry& entry) { return entry.form.size() < form.size(); });
  entries.insert(place, {std::move(form), token});
}

const TokenFinder::Entry* TokenFinder::longest_at_front(std::string_view text) const {
  const auto entries = by_first_byte_.find(text.front());
  if (entries == by_first_byte_.end()) return nullptr;
  const auto entry = std::find_if(entries->second.begin(), entries->second.end(),
                                  [text](const Entry& candidate) { return text.starts_with(candidate.form); });
  return entry == entries->second.end() ? nullptr : &*entry;
}

std::vector<TextOrToken> TokenFinder::split(std::string_view text) const {
  std::vector<TextOrToken> pieces;
  std::size_t done = 0;  // everything before is in `pieces`
  const auto add_text_until = [&](std::size_t end) {
    if (done < end) pieces.push_back({text.substr(done, end - done), std::nullopt});
  };
  for (std::size_t at = 0; at < text.size();) {
    const Entry* found = longest_at_front(text.substr(at));
    if (found == nullptr) {
      ++at;
      continue;
    }
    const AddedToken& token = found->token;
    const std::size_t begin = at;
    const std::size_t end = at + found->form.size();
    // The `tokenizers` package goes on behind the match even when it then discards it, but not behind the spaces that
    // rstrip swallows: a token that begins with these spaces is still found.
    at = end;
    if (token.single_word && is_inside_word(text.substr(0, begin), text.substr(end))) continue;
    add_text_until(token.lstrip ? without_spaces_at_end(text.substr(0, begin)).size() : begin);
    pieces.push_back({{}, token.id});
    done = token.rstrip ? end + length_of_spaces_at_front(text.substr(end)) : end;
  }
  add_text_until(text.size());
  return pieces;
}

AddedTokens::AddedTokens(const std::optional<JsonView>& description, const BpeModel& model,
                         const Normalizer& normalizer) {
  if (description) read(description->elements(), model);
  for (const AddedToken& token : tokens_) {
    contents_.emplace(token.id, token.content);
    if (token.normalized) {
      in_normalized_text_.add(normalizer.normalize(token.content), token);
    } else {
      in_raw_text_.add(token.content, token);
    }
  }
}

void AddedTokens::read(const std::vector<JsonView>& descriptions, const BpeModel& model) {
  std::int64_t next_id = model.size();
  std::unordered_map<std::string, std::size_t> places;
  for (const JsonView& description : descriptions) {
    AddedToken token{description.at("content").text(),     description.at("id").id(),
                     description.at("single_word").flag(), description.at("lstrip").flag(),
                     description.at("rstrip").flag(),      description.at("normalized").flag()};
    if (token.content.empty()) continue;
    const auto [place, is_new] = places.emplace(token.content, tokens_.size());
    const auto in_vocabulary = model.id_of(token.content);
    if (is_new && !in_vocabulary) ++beyond_vocabulary_;
    const std::int64_t expected = in_vocabulary ? *in_vocabulary : is_new ? next_id++ : tokens_[place->second].id;
    if (token.id != expected) {
      description.refuse("the token '" + token.content + "' has the id " + std::to_string(token.id) +
                         " here, but by the vocabulary it is " + std::to_string(expected) + "; correct the file");
    }
    if (is_new) {
      tokens_.push_back(std::move(token));
    } else {
      tokens_[place->second] = std::move(token);  // the last description of a token counts
    }
  }
}

std::optional<std::string_view> AddedTokens::content_of(std::int64_t id) const {
  const auto entry = contents_.find(id);
  if (entry == contents_.end()) return std::nullopt;
  return entry->second;
}

}  // namespace tributary::detail::tokenizer
