// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Byte-pair encoding: a vocabulary and an ordered list of merges.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/detail/tokenizer/model.h"

namespace tributary::detail::tokenizer {

class BpeModel final : public Model {
 public:
  /// Throws UserError for settings of BPE that are not supported.
  BpeModel(const JsonView& description, Words words);

  void append_ids(std::string_view word, std::vector<std::int64_t>& ids) const override;
  [[nodiscard]] std::optional<std::int64_t> id_of(std::string_view token) const override;
  [[nodiscard]] std::optional<std::string_view> token_of(std::int64_t id) const override;
  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(vocabulary_.size()); }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Merge {
    std::uint32_t rank;
    std::uint32_t merged;
  };
  struct Candidate;
  class Word;
  enum class Unknown { each, fused };  //!< whether each unknown character gives a token, or a run of them gives one

  void read_vocabulary(const JsonView& vocabulary);
  void read_merges(const std::vector<JsonView>& merges);
  void read_unknown(const JsonView& description, Words words);
  [[nodiscard]] std::uint32_t id_in_merge(const JsonView& merge, const std::string& token) const;
  [[nodiscard]] const Merge* find_merge(std::uint32_t left, std::uint32_t right) const;
  [[nodiscard]] std::optional<std::uint32_t> find_token(std::string_view token) const;
  [[nodiscard]] bool has_every_first_symbol(Words words) const;
  [[nodiscard]] bool append_bytes(std::string_view character, std::vector<std::uint32_t>& ids) const;
  [[nodiscard]] std::vector<std::uint32_t> first_symbols(std::string_view word) const;

  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> vocabulary_;
  std::unordered_map<std::uint32_t, std::string_view> tokens_;  //!< they point into the keys of vocabulary_
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::array<std::optional<std::uint32_t>, 256> byte_ids_;  //!< of "<0x00>" and so on; none without byte_fallback
  std::optional<std::uint32_t> unknown_id_;
  Unknown unknown_ = Unknown::each;
  bool whole_words_first_ = false;  //!< "ignore_merges": a word that is a token needs no merging
};

}  // namespace tributary::detail::tokenizer
