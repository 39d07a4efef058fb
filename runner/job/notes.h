// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the user should know of a run before it starts, and that is no mistake.
#pragma once

#include <string>
#include <vector>

#include "io/config.h"
#include "runner/job/job.h"

namespace tributary {

/// Whether sizes of circuits are given, so that circuits are not those of the defaults.
bool wants_circuits(const Settings& settings);

/// Fewer pairs or nodes than asked for, circuits without pairs: a line each.
std::vector<std::string> notes_on_numbers(const Job& job, const Settings& settings);

/// Those, and notes_on_means (averaged_prompts.h).
std::vector<std::string> notes_on(const Job& job, const Settings& settings);

}  // namespace tributary
