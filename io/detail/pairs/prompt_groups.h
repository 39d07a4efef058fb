// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Groups of pairs that share their two prompts: a split keeps each group on one side.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/pairs.h"

namespace tributary::detail::pairs {

using Pairs = std::vector<PromptPair>;
using PromptKey = std::pair<std::string, std::string>;

/// The two prompts without their order: a pair and its reverse share a key.
PromptKey key_of(const PromptPair& pair);

/// Pairs with the same key, keys in the order of their first pair.
std::vector<Pairs> group_by_prompts(const Pairs& pairs);

/// The different prompts of some pairs, of either role.
std::set<std::string> different_prompts(const std::vector<TokenPair>& pairs);

}  // namespace tributary::detail::pairs
