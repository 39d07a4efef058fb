// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where versions of transformers make other ids of one folder than we do, in words: its owners may have trained the
// model with either.
#pragma once

#include <string>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/companion_files.h"

namespace tributary::detail::tokenizer {

/// On the token before every text; empty where all agree. prefix: the texts of what tokenizer.json puts there.
std::string note_on_bos(const CompanionFiles& files, const std::vector<std::string>& prefix);

/// On how texts are cut and which tokens are found in them, a line each. description: the tokenizer.json.
std::vector<std::string> notes_on_pieces(const CompanionFiles& files, const JsonView& description, Words words);

}  // namespace tributary::detail::tokenizer
