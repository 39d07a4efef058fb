// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What makes two runs the same, as texts to compare.
#pragma once

#include <string>

#include "io/config.h"
#include "runner/job/job.h"

namespace tributary {

/// Hashes of what a run's numbers depend on: keys, model, pairs, kind of device and code.
Identities identities_of(const Job& job, const Settings& settings);

/// Equal for runs that may be computed together, because they share all that one pass through the network needs.
std::string group_of(const Job& job, const Settings& settings);

/// What a run's exact effects depend on besides the neurons that are patched: its baseline and direction.
std::string truth_of(const Job& job);

}  // namespace tributary
