// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A unigram language model (Kudo 2018, arXiv:1804.10959): every token has a log-probability, and a word is cut where
// their sum is largest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/tokenizer/model.h"

namespace tributary::detail::tokenizer {

class UnigramModel final : public Model {
 public:
  /// Throws UserError for a vocabulary that is no list of tokens and scores.
  explicit UnigramModel(const JsonView& description);

  void append_ids(std::string_view word, std::vector<std::int64_t>& ids) const override;
  [[nodiscard]] std::optional<std::int64_t> id_of(std::string_view token) const override;
  [[nodiscard]] std::optional<std::string_view> token_of(std::int64_t id) const override;
  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(tokens_.size()); }

 private:
  struct Token {
    std::string text;
    double score;
  };
  /// The best way to a place in the word: where its last token begins.
  struct Arrival;

  void read_vocabulary(const JsonView& vocabulary);
  [[nodiscard]] std::vector<Arrival> best_arrivals(std::string_view word) const;
  [[nodiscard]] std::vector<std::string_view> best_pieces(std::string_view word) const;
  [[nodiscard]] bool append_bytes(std::string_view piece, std::vector<std::int64_t>& ids) const;

  std::vector<Token> tokens_;           //!< by id
  std::vector<std::uint32_t> by_text_;  //!< ids in the order of their texts; of equal texts the last id alone
  std::array<std::optional<std::int64_t>, 256> byte_ids_;  //!< of "<0x00>" and so on; none without byte_fallback
  std::optional<std::uint32_t> unknown_id_;
  double unknown_score_ = 0;
  std::string where_;
};

}  // namespace tributary::detail::tokenizer
