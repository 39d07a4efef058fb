// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A way out for a pair whose two prompts have different lengths: another prompt of the same files that fits beside its
// clean one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/detail/pairs/pair_judge.h"
#include "io/pairs.h"

namespace tributary::detail::pairs {

/// Refers to judge and tokenizer, which must outlive it.
class Partners {
 public:
  /// `known`: the pairs whose prompts may serve.
  Partners(const std::vector<PromptPair>& known, const PairJudge& judge, const Tokenizer& tokenizer);

  /// "; or compare it with 'The ice is' and ' cold' of pairs.jsonl:7, which has 3 tokens too": of the prompts with
  /// which the pair would be fit, the one that is most like the clean prompt. Empty when there is none.
  [[nodiscard]] std::string suggestion(const PromptPair& pair) const;

 private:
  struct Prompt {
    std::string text;
    std::optional<std::string> answer;
    std::vector<std::int64_t> ids;
    std::string place;
  };
  const PairJudge& judge_;
  const Tokenizer& tokenizer_;
  std::vector<Prompt> prompts_;
};

}  // namespace tributary::detail::pairs
