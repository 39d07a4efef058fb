// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores of single nodes as a table: CSV with the columns kind, layer, position, index and score, and
// maybe dictionary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/score_file.h"

namespace tributary::detail::scores {

/// Throws UserError with the problems of all lines, each as file:line.
std::vector<ListedScore> read_score_list(std::string_view text, const std::string& file);

}  // namespace tributary::detail::scores
