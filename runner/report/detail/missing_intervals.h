// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Why numbers of a results file have no interval (docs/results.md, Intervals): where there are none, readers must not
// look for a fault.
#pragma once

#include <string>
#include <vector>

#include "io/results.h"

namespace tributary::detail {

/// Of circuits whose faithfulness or completeness is a number and has no interval; empty: there are none.
std::string circuits_without_interval(const ResultsFile& results);

/// The same of circuits, agreement and steering: a sentence each, where there is something to say.
std::vector<std::string> missing_intervals(const ResultsFile& results);

}  // namespace tributary::detail
