// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run takes on the disk: its results, and the journal of its group until then, which may be a hundred times as
// much.
#pragma once

#include <cstdint>
#include <filesystem>

#include "runner/job/plan.h"

namespace tributary {

/// Of a run's results, in bytes.
std::uint64_t results_bytes(const Job& job);

/// Of the journal of a group's attribution: stages besides it are small.
struct JournalBytes {
  std::uint64_t least = 0;  //!< every lane's sum, and once more while its parts are made one file
  std::uint64_t most = 0;   //!< were every unit a block of its own
};
JournalBytes journal_bytes(const RunGroup& runs);

/// Throws UserError when the disk has no room for the least that the group's folder in the journal still needs; warns
/// when it may not have room for the most.
void require_room_for_journal(const std::filesystem::path& group, const JournalBytes& bytes);

}  // namespace tributary
