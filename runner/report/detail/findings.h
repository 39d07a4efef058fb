// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What lies in the folder of a run or a sweep: what reports and exports are made of.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/tables.h"
#include "runner/report/report.h"

namespace tributary::detail {

/// What lies in a folder: the results that can be read, and what is to be said of the rest.
struct Findings {
  std::string title;
  Document::Kind kind = Document::Kind::run;
  std::vector<RunResults> runs;
  std::vector<std::string> notes;
};

/// Throws UserError: no such folder, no results in it that can be read.
Findings find_results(const std::filesystem::path& folder);

/// Where a sweep's folder lists its runs.
std::filesystem::path names_path(const std::filesystem::path& folder);

}  // namespace tributary::detail
