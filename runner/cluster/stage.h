// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Runs a stage: a set of independent units computed by the worker threads of all ranks, folded by lane
// so that every bit of the result is the same for any number of ranks and threads, any order and any
// number of retries. The main thread of each rank does all MPI; rank 0's also decides who does what.
#pragma once

#include <vector>

#include "runner/cluster/comm.h"
#include "runner/cluster/stage_options.h"
#include "runner/cluster/units.h"
#include "runner/cluster/workers.h"

namespace tributary {

/// Collective: all ranks pass the same units. Throws on every rank when a rank cannot start, when the
/// ranks were given different units, or when rank 0 fails (its own exception there, RuntimeFailure elsewhere).
StageResult run_stage(const Communicator& comm, const std::vector<UnitSpec>& units, const ComputeUnit& compute,
                      const StageOptions& options);

}  // namespace tributary
