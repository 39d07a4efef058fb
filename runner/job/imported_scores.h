// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Method imported: a ranking from elsewhere, brought into the order of the run's nodes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "attribution/methods/attribute.h"
#include "attribution/nodes/dictionary.h"
#include "attribution/nodes/node_table.h"
#include "io/score_file.h"

namespace tributary {

struct ImportedScores {
  std::vector<float> scores;  //!< of all nodes in their order, but for features
  SparseScores features;      //!< of those that are listed (first_keys), as float32 has them

  [[nodiscard]] bool empty() const { return scores.empty(); }
};

/// The scores of the nodes of `layout`; `dictionaries` are those of its features, and `file` is for messages. Nodes
/// that a list leaves out have 0, but for features, which then have none. Throws UserError with all problems: kinds
/// that are missing, unknown, or not the run's (unless their score is 0), other shapes, arrays where there are
/// features, nodes that the model does not have or that are there twice, numbers that are not finite in float32.
ImportedScores imported_scores(const ScoreFile& scores, const NodeLayout& layout, const std::filesystem::path& file,
                               const std::vector<Dictionary>* dictionaries = nullptr);

/// What tells such scores from others.
std::string hash_of_scores(const ImportedScores& imported);

}  // namespace tributary
