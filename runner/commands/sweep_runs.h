// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs of a sweep file: which there are, where they write, and which may be computed together.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/config.h"
#include "runner/commands/run_arguments.h"

namespace tributary {

/// All runs of the sweep (or the only one asked for), each checked as far as it can be without its model. Throws
/// UserError with the problems of all.
std::vector<Settings> checked_runs(const RunArguments& arguments);

/// Runs by the group that they may be computed in, groups in order of their first run: sweeps over methods share passes
/// through the network whatever the order of the sweep's keys.
std::vector<std::vector<const Settings*>> grouped(const std::vector<Settings>& runs);

/// What a process locks and keeps its journal in: the sweep's folder, or its only run's.
std::filesystem::path base_of(const RunArguments& arguments, const Settings& settings);
/// A run's own folder in the sweep's.
std::string folder_in_base(const Settings& settings);
/// A run's own folder.
std::filesystem::path folder_of(const RunArguments& arguments, const Settings& settings);

}  // namespace tributary
