// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/partners.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace tributary::detail::pairs {
namespace {

std::int64_t equal_positions(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::int64_t equal = 0;
  for (std::size_t i = 0; i < a.size(); ++i) equal += static_cast<std::int64_t>(a[i] == b[i]);
  return equal;
}

}  // namespace

Partners::Partners(const std::vector<PromptPair>& known, const PairJudge& judge, const Tokenizer& tokenizer)
    : judge_(judge), tokenizer_(tokenizer) {
  std::set<std::string> met;
  const auto add = [&](const std::string& text, const std::optional<std::string>& answer, const PromptPair& pair) {
    if (!met.insert(text).second) return;
    prompts_.push_back(
        {text, answer, tokenizer.encode(text, SpecialTokens::add), fmt::format("{}:{}", pair.file, pair.line)});
  };
  for (const PromptPair& pair : known) {
    if (pair.patch_prefix) add(*pair.patch_prefix, pair.patch_answer, pair);
  }
  for (const PromptPair& pair : known) add(pair.clean_prefix, pair.clean_answer, pair);
}

std::string Partners::suggestion(const PromptPair& pair) const {
  constexpr std::size_t tried = 8;  // the likest ones; a pair that none of them fits has another trouble
  const std::vector<std::int64_t> clean = tokenizer_.encode(pair.clean_prefix, SpecialTokens::add);
  std::vector<std::pair<std::int64_t, const Prompt*>> likest;
  for (const Prompt& prompt : prompts_) {
    if (prompt.ids.size() != clean.size() || prompt.text == pair.clean_prefix) continue;
    likest.emplace_back(-equal_positions(clean, prompt.ids), &prompt);
  }
  std::stable_sort(likest.begin(), likest.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < std::min(tried, likest.size()); ++i) {
    const Prompt& prompt = *likest[i].second;
    PromptPair changed = pair;
    changed.patch_prefix = prompt.text;
    changed.patch_answer = prompt.answer;
    if (!judge_.judge(changed).reason.empty()) continue;
    return fmt::format("; or compare it with {}{}{} of {}, which has {} tokens too", in_quotes(prompt.text),
                       prompt.answer ? " and " : "", prompt.answer ? in_quotes(*prompt.answer) : "", prompt.place,
                       clean.size());
  }
  return {};
}

}  // namespace tributary::detail::pairs
