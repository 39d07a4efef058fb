// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Scores as the file that MIB's code reads as a node-level circuit (Graph.from_json of hannamw/EAP-IG; docs/mib.md).
#pragma once

#include <filesystem>
#include <string>

#include "io/results.h"

namespace tributary {

/// Writes importances.json of each run of a folder that has heads and MLPs with their scores summed over positions:
/// <out>/importances.json, of a sweep's runs <out>/<run>/importances.json. out empty: folder/export. Other runs are
/// named. Throws UserError: there is no run of which it can be written, and why.
void export_mib(const std::filesystem::path& folder, const std::filesystem::path& out);

/// Why there can be no such file of a run's results, and what to do; empty: there can.
std::string reason_against_mib(const ResultsFile& results);

/// The file's text. Every node is in the graph: MIB's code cuts circuits by the scores. `input` stands for the token
/// embeddings; where they are no nodes of the run its score is 0. Neurons are left out, as MIB's graph has none.
std::string importances_of(const ResultsFile& results);

}  // namespace tributary
