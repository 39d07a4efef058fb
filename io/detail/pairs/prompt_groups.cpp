// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/prompt_groups.h"

#include <cstddef>
#include <map>

namespace tributary::detail::pairs {

PromptKey key_of(const PromptPair& pair) {
  std::string counterfactual = pair.patch_prefix.value_or("");
  if (counterfactual < pair.clean_prefix) return {std::move(counterfactual), pair.clean_prefix};
  return {pair.clean_prefix, std::move(counterfactual)};
}

std::vector<Pairs> group_by_prompts(const Pairs& pairs) {
  std::vector<Pairs> groups;
  std::map<PromptKey, std::size_t> group_of;
  for (const PromptPair& pair : pairs) {
    const auto [found, inserted] = group_of.emplace(key_of(pair), groups.size());
    if (inserted) groups.emplace_back();
    groups[found->second].push_back(pair);
  }
  return groups;
}

std::set<std::string> different_prompts(const std::vector<TokenPair>& pairs) {
  std::set<std::string> prompts;
  for (const TokenPair& pair : pairs) {
    prompts.insert(pair.text.clean_prefix);
    if (pair.text.patch_prefix) prompts.insert(*pair.text.patch_prefix);
  }
  return prompts;
}

}  // namespace tributary::detail::pairs
