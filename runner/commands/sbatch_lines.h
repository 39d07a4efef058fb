// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The command lines that hand a sweep to Slurm, with job scripts that are there: those of the folder one stands in, of
// the program's own installation or sources, or none.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "runner/commands/run_arguments.h"
#include "runner/commands/sweep_plan.h"

namespace tributary {

/// "slurm/sweep.sbatch" where that is in the current folder; else the one beside the program (installed:
/// ../share/tributary/slurm; built: ../../slurm), or empty.
std::filesystem::path job_script(const std::string& name);

/// For the whole sweep in one allocation, and where there are several runs, for an array of them; a line each.
/// seconds: of the whole sweep, and of its longest run. largest: the pass that
/// takes most memory.
std::string sbatch_lines(const RunArguments& arguments, const Machines& machines, const PlannedPass& largest,
                         double seconds, double longest_run, std::size_t runs);

}  // namespace tributary
