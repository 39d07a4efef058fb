// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Method imported: a ranking from elsewhere, brought into the order of the run's nodes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "attribution/nodes/node_table.h"
#include "io/score_file.h"

namespace tributary {

/// The scores of all nodes of `layout`, in its order; `file` is for messages. Nodes that a list leaves out have 0.
/// Throws UserError with all problems: kinds that are missing, unknown, or not the run's (unless their score is 0),
/// other shapes, nodes that the model does not have or that are there twice, numbers that are not finite in float32.
std::vector<float> imported_scores(const ScoreFile& scores, const NodeLayout& layout,
                                   const std::filesystem::path& file);

/// What tells such scores from others.
std::string hash_of_scores(const std::vector<float>& scores);

}  // namespace tributary
