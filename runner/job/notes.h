// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the user should know of a run before it starts, and that is no mistake.
#pragma once

#include <string>
#include <vector>

#include "io/config.h"
#include "io/tokenizer.h"
#include "runner/job/job.h"

namespace tributary {

/// Where versions of transformers make other ids or other weights of the model's folder, a line each.
std::vector<std::string> notes_on_model(const Job& job);

/// What a tokenizer puts before every prompt: "'<s>' (1)", or "nothing".
std::string text_of_prefix(const Tokenizer& tokenizer);

/// Whether sizes of circuits are given, so that circuits are not those of the defaults.
bool wants_circuits(const Settings& settings);

/// Fewer pairs or nodes than asked for, circuits without pairs, pairs of other lengths, odd texts: a line each.
std::vector<std::string> notes_on_numbers(const Job& job, const Settings& settings);

/// All of those, and notes_on_means (averaged_prompts.h).
std::vector<std::string> notes_on(const Job& job, const Settings& settings);

}  // namespace tributary
