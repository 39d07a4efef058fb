// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How a command ends: the exit code that all ranks agree on, the words for it, and the report.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "runner/cluster/comm.h"

namespace tributary {

/// Runs `body`, and turns what it throws into an exit code that all ranks agree on; rank 0 prints every distinct text.
/// With several ranks anything but what is agreed upon goes on to the top: the others may be waiting for this rank.
/// told: the texts printed so far; those are not printed again, and new ones are added. A mistake of all runs of a
/// sweep is one mistake.
int together(const Communicator& comm, const std::function<void()>& body, std::set<std::string>& told);
/// The same with nothing told before.
int together(const Communicator& comm, const std::function<void()>& body);

/// What `tributary status` says of a program that ended with this code.
std::string ending_of(int code);

/// Writes the report of what lies in a folder. A warning where that cannot be: it can be drawn later, the results are
/// there.
void draw_report(const std::filesystem::path& folder);

}  // namespace tributary
