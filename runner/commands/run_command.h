// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// `tributary run`: from a sweep file to results, on one rank or many.
#pragma once

#include "runner/cluster/comm.h"
#include "runner/commands/run_arguments.h"

namespace tributary {

/// Runs every run of the sweep, prints its table on rank 0. Returns the exit code (0, 1, 2, 3, 75 or 76), the same on
/// every rank.
int run_command(const RunArguments& arguments, const Communicator& comm);

}  // namespace tributary
