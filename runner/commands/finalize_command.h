// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `tributary finalize DIR`: results from a journal alone.
#pragma once

#include <filesystem>

#include "runner/cluster/comm.h"

namespace tributary {

/// Writes the results of all runs that a journal holds completely. Computes nothing, and leaves the journal as it is:
/// on another kind of machine and with another version too, it says there of a run what was noted when it was computed.
/// Returns the exit code, the same on every rank: 2 where units are missing.
int finalize_command(const std::filesystem::path& out, const Communicator& comm);

}  // namespace tributary
