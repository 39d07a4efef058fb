// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tokenises one prompt pair and says whether a run can use it, or why not and what to do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/pairs.h"

namespace tributary::detail::pairs {

/// A pair is fit when `reason` is empty; otherwise `pair` is half filled and not to be used.
struct Judgement {
  TokenPair pair;
  std::string reason;
  bool unequal_lengths = false;  //!< why it is unfit: another counterfactual prompt might do
};

/// Refers to options and tokenizer, which must outlive it.
class PairJudge {
 public:
  /// Throws UserError when the tokenizer ends every text with special tokens: no answer could follow a prompt.
  PairJudge(const PairOptions& options, const Tokenizer& tokenizer);

  /// Judges a pair on its own; whether its length is the run's is another question (length_reason).
  /// Throws UserError for a doubled BOS.
  [[nodiscard]] Judgement judge(const PromptPair& text) const;

 private:
  using Ids = std::vector<std::int64_t>;

  [[nodiscard]] std::string missing_part(const PromptPair& text) const;
  [[nodiscard]] std::string encode_prompts(TokenPair& pair, bool& unequal_lengths) const;
  [[nodiscard]] std::string encode_answers(TokenPair& pair) const;
  [[nodiscard]] std::string encode_answer(const TokenPair& pair, const std::string& answer, Ids& tokens) const;
  [[nodiscard]] std::string answer_after(std::string_view prompt, const Ids& ids, const std::string& answer,
                                         Ids& tokens) const;
  /// Refuses several tokens of which the first is a space alone (" 1", where digits are tokens of their own).
  [[nodiscard]] std::string blank_start(const std::string& answer, const Ids& tokens) const;
  /// Says that the answer is one token with a space in front, where it is: most tokens are words with theirs.
  [[nodiscard]] std::string with_space(std::string_view prompt, const Ids& ids, const std::string& answer) const;
  [[nodiscard]] std::string equal_answers(const Ids& clean, const Ids& patch) const;
  [[nodiscard]] std::string outside_vocabulary(const TokenPair& pair) const;
  void refuse_doubled_bos(const PromptPair& text, const Ids& ids) const;
  /// Tokens as a reader sees them: ' New'|' York'.
  [[nodiscard]] std::string pieces(const Ids& ids) const;

  const PairOptions& options_;
  const Tokenizer& tokenizer_;
};

/// The text in quotes on one line; of a long text its end, where the answer goes.
std::string in_quotes(std::string_view text);

/// Why a fit pair cannot stand beside pairs of `length` tokens, or empty.
std::string length_reason(const TokenPair& pair, std::int64_t length);

}  // namespace tributary::detail::pairs
