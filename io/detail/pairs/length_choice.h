// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which of several token lengths a set of pairs has, and who has decided it, in words.
#pragma once

#include <string>

#include "io/pairs.h"

namespace tributary::detail::pairs {

/// "with positions: keep all pairs have one token length, here 13 (that of pairs.jsonl:7, …); …": the length taken, why
/// it is that one, which others there are, and what to do about it. Empty where all pairs have it.
std::string choice_of_length(const Lengths& lengths, const PairOptions& options);

}  // namespace tributary::detail::pairs
