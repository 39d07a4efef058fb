// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/prompt_groups.h"

#include <cstddef>
#include <limits>
#include <map>
#include <random>

namespace tributary::detail {

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

namespace {

/// Uniform in [0, bound). The standard's distributions differ between libraries; this does not.
std::uint64_t draw_below(std::mt19937_64& random, std::uint64_t bound) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t largest_fair = most - (most % bound + 1) % bound;
  std::uint64_t value = random();
  while (value > largest_fair) value = random();
  return value % bound;
}

}  // namespace

void shuffle(std::vector<Pairs>& groups, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t last = groups.size(); last-- > 1;) std::swap(groups[last], groups[draw_below(random, last + 1)]);
}

}  // namespace tributary::detail
