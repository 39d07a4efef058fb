// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `tributary status DIR`: how far a sweep is, from its files alone, also while it runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runner/journal/group_journal.h"

namespace tributary {

/// A stage as its folder tells it.
struct StageStatus {
  std::string name;
  std::int64_t done = 0, total = 0;  //!< units
  std::int64_t damaged = 0;          //!< files set aside
  std::vector<FailedUnit> failed;
};

struct RunStatus {
  std::string folder;
  bool complete = false;  //!< results.h5 is there
};

struct GroupStatus {
  std::vector<RunStatus> runs;
  std::vector<StageStatus> stages;
};

/// Throws UserError when `out` holds no journal and no results.
std::vector<GroupStatus> status_of(const std::filesystem::path& out);

/// Prints it. Throws UserError.
void status_command(const std::filesystem::path& out);

}  // namespace tributary
