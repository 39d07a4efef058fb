// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/bpe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <queue>
#include <utility>

#include "common/errors.h"
#include "io/detail/base/utf8.h"
#include "io/detail/tokenizer/byte_level.h"
#include "io/detail/tokenizer/byte_tokens.h"

namespace tributary::detail::tokenizer {
namespace {

std::uint64_t pair_key(std::uint32_t left, std::uint32_t right) { return (std::uint64_t{left} << 32) | right; }

/// "a b" (older files) or ["a", "b"].
std::optional<std::pair<std::string, std::string>> merge_parts(const nlohmann::json& merge) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return std::nullopt;
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) return std::nullopt;
  return std::pair(merge[0].get<std::string>(), merge[1].get<std::string>());
}

/// Older files carry the first line of a merges.txt along; it has no rank.
bool is_header(const nlohmann::json& merge) {
  return merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version");
}

void refuse_unsupported_settings(const JsonView& description) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = description.find(key);
    if (affix && !affix->text().empty()) {
      affix->refuse("is not supported; neither byte-level BPE nor SentencePiece's uses it");
    }
  }
  const auto dropout = description.find("dropout");
  if (dropout && dropout->value() != 0.0) dropout->refuse("makes ids random; set it to null");
}

}  // namespace

/// A merge that was possible when it was found.
struct BpeModel::Candidate {
  std::uint32_t rank;
  std::size_t left;
  std::uint32_t merged;

  /// The priority queue takes the largest first: here that is the lowest rank, and of equal ranks the leftmost.
  bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

/// The symbols of a word as a linked list, merged best candidate first: O(n log n).
class BpeModel::Word {
 public:
  Word(const BpeModel& model, const std::vector<std::uint32_t>& ids) : model_(model) {
    symbols_.reserve(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      symbols_.push_back({ids[i], i == 0 ? kNone : i - 1, i + 1 == ids.size() ? kNone : i + 1, State::alive});
    }
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) propose(i);
  }

  void merge_all() {
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      if (is_current(best)) merge(best);
    }
  }

  void append_to(std::vector<std::int64_t>& ids) const {
    for (std::size_t at = symbols_.empty() ? kNone : 0; at != kNone; at = symbols_[at].next) {
      ids.push_back(symbols_[at].id);
    }
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  enum class State { alive, swallowed };
  struct Symbol {
    std::uint32_t id;
    std::size_t previous, next;
    State state;
  };

  [[nodiscard]] const Merge* merge_at(std::size_t left) const {
    return model_.find_merge(symbols_[left].id, symbols_[symbols_[left].next].id);
  }

  void propose(std::size_t left) {
    if (const Merge* merge = merge_at(left)) candidates_.push({merge->rank, left, merge->merged});
  }

  /// False when merges made since have taken a part of the candidate.
  [[nodiscard]] bool is_current(const Candidate& candidate) const {
    const Symbol& left = symbols_[candidate.left];
    if (left.state == State::swallowed || left.next == kNone) return false;
    const Merge* merge = merge_at(candidate.left);
    return merge != nullptr && merge->merged == candidate.merged;
  }

  void merge(const Candidate& candidate) {
    Symbol& left = symbols_[candidate.left];
    Symbol& right = symbols_[left.next];
    left.id = candidate.merged;
    left.next = right.next;
    right.state = State::swallowed;
    if (left.next != kNone) symbols_[left.next].previous = candidate.left;
    if (left.previous != kNone) propose(left.previous);
    if (left.next != kNone) propose(candidate.left);
  }

  const BpeModel& model_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> candidates_;
};

BpeModel::BpeModel(const JsonView& description, Words words) {
  refuse_unsupported_settings(description);
  read_vocabulary(description.at("vocab"));
  read_merges(description.at("merges").elements());
  if (description.flag("byte_fallback", false)) {
    for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
      byte_ids_[byte] = find_token(byte_token(static_cast<char>(byte)));
    }
  }
  read_unknown(description, words);
  whole_words_first_ = description.flag("ignore_merges", false);
}

void BpeModel::read_vocabulary(const JsonView& vocabulary) {
  if (!vocabulary.value().is_object()) vocabulary.refuse("expected an object of tokens and ids; is this file whole?");
  vocabulary_.reserve(vocabulary.value().size());
  tokens_.reserve(vocabulary.value().size());
  for (const auto& [token, id] : vocabulary.value().items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0xFFFFFFFF) {
      vocabulary.refuse("the token '" + token + "' has no id between 0 and 2^32 - 1; is this file whole?");
    }
    const auto entry = vocabulary_.emplace(token, id.get<std::uint32_t>()).first;
    if (!tokens_.emplace(entry->second, entry->first).second) {
      vocabulary.refuse("the tokens '" + token + "' and '" + std::string(tokens_[entry->second]) +
                        "' have the same id " + std::to_string(entry->second) + "; correct the file");
    }
  }
}

std::uint32_t BpeModel::id_in_merge(const JsonView& merge, const std::string& token) const {
  const auto id = find_token(token);
  if (!id) merge.refuse("the vocabulary has no token '" + token + "'; correct the file");
  return *id;
}

void BpeModel::read_merges(const std::vector<JsonView>& merges) {
  merges_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const JsonView& merge : merges) {
    if (is_header(merge.value())) continue;
    const auto parts = merge_parts(merge.value());
    if (!parts) merge.refuse("a merge is \"a b\" or [\"a\", \"b\"]; correct the file");
    const auto& [left, right] = *parts;
    const std::uint64_t pair = pair_key(id_in_merge(merge, left), id_in_merge(merge, right));
    // Of several equal merges the last one counts, as in the `tokenizers` package.
    merges_[pair] = {rank, id_in_merge(merge, left + right)};
    ++rank;
  }
}

/// Whether no word can hold an unknown symbol.
bool BpeModel::has_every_first_symbol(Words words) const {
  const auto is_there = [](const auto& id) { return id.has_value(); };
  if (std::all_of(byte_ids_.begin(), byte_ids_.end(), is_there)) return true;
  if (words == Words::characters) return false;
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    if (!find_token(to_byte_level({&character, 1}))) return false;
  }
  return true;
}

void BpeModel::read_unknown(const JsonView& description, Words words) {
  const auto token = description.find("unk_token");
  if (!token) return;
  unknown_id_ = find_token(token->text());
  unknown_ = description.flag("fuse_unk", false) ? Unknown::fused : Unknown::each;
  // GPT-2 names "" as its unknown token, which does no harm where it is never needed.
  if (!unknown_id_ && !has_every_first_symbol(words)) {
    token->refuse("the vocabulary has no token '" + token->text() + "'; correct the file");
  }
}

const BpeModel::Merge* BpeModel::find_merge(std::uint32_t left, std::uint32_t right) const {
  const auto merge = merges_.find(pair_key(left, right));
  return merge == merges_.end() ? nullptr : &merge->second;
}

std::optional<std::uint32_t> BpeModel::find_token(std::string_view token) const {
  const auto entry = vocabulary_.find(token);
  if (entry == vocabulary_.end()) return std::nullopt;
  return entry->second;
}

std::optional<std::int64_t> BpeModel::id_of(std::string_view token) const { return find_token(token); }

std::optional<std::string_view> BpeModel::token_of(std::int64_t id) const {
  const auto entry = tokens_.find(static_cast<std::uint32_t>(id));
  if (id < 0 || id > 0xFFFFFFFF || entry == tokens_.end()) return std::nullopt;
  return entry->second;
}

/// False, and nothing appended, where a byte has no token.
bool BpeModel::append_bytes(std::string_view character, std::vector<std::uint32_t>& ids) const {
  const auto id_of_byte = [this](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (!std::all_of(character.begin(), character.end(), id_of_byte)) return false;
  for (const char byte : character) ids.push_back(*id_of_byte(byte));
  return true;
}

/// A character without a token becomes its bytes' tokens, else the unknown token; it vanishes where there is none.
std::vector<std::uint32_t> BpeModel::first_symbols(std::string_view word) const {
  std::vector<std::uint32_t> ids;
  ids.reserve(word.size());
  // As in the `tokenizers` package an unknown token waits for the next known character or the word's end: bytes that
  // follow it come before it.
  bool unknown_waits = false;
  const auto put_unknown = [&] {
    if (unknown_waits) ids.push_back(*unknown_id_);
    unknown_waits = false;
  };
  for (std::size_t at = 0; at < word.size(); at += utf8_length(word[at])) {
    const std::string_view character = word.substr(at, utf8_length(word[at]));
    if (const auto id = find_token(character)) {
      put_unknown();
      ids.push_back(*id);
    } else if (!append_bytes(character, ids) && unknown_id_) {
      if (unknown_ == Unknown::each) put_unknown();
      unknown_waits = true;
    }
  }
  put_unknown();
  return ids;
}

void BpeModel::append_ids(std::string_view word, std::vector<std::int64_t>& ids) const {
  if (whole_words_first_) {
    if (const auto id = id_of(word)) return ids.push_back(*id);
  }
  Word symbols(*this, first_symbols(word));
  symbols.merge_all();
  symbols.append_to(ids);
}

}  // namespace tributary::detail::tokenizer
