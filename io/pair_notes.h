// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is odd about pairs that a run can use all the same: mostly a slip of whoever wrote the file. Pairs that
// cannot be used are refused elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/pairs.h"
#include "io/tokenizer.h"

namespace tributary {

/// Sentences for people, each about a whole set, with a number and an example: answers that follow a word without a
/// space, or a space with one more; pairs that occur again on their side; pairs on one side that share prompts so much
/// that intervals over pairs are too narrow. Empty: nothing is odd.
/// words: answers lack no space where one in front of them would be a token by itself (" 1" in some tokenizers), so
/// that the pair could not be used with it.
std::vector<std::string> notes_on_texts(const PairSet& pairs, const std::optional<Tokenizer>& words = {});

/// Where pairs are skipped for their token length alone, and pairs.length does not say which one is wanted: how many
/// they are, which length is taken, and what has decided it. Empty: there are none.
std::string note_on_lengths(const PairSet& pairs, const PairOptions& options);

}  // namespace tributary
