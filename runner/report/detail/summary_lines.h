// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Lines of what a run prints at its end (runner/report/summary.h); empty where the file has nothing to say.
#pragma once

#include <string>

#include "runner/report/detail/stored_nodes.h"

namespace tributary::detail {

/// How far scores are from adding up, and integrals that missed their tolerance.
std::string error_lines(const ResultsFile& results, const StoredNodes& nodes);

/// The circuits' table, and the nodes that they choose among.
std::string circuit_lines(const ResultsFile& results, const StoredNodes& nodes);

/// A line for each kind of nodes of which a sample was patched.
std::string agreement_lines(const ResultsFile& results, const StoredNodes& nodes);

std::string steering_line(const ResultsFile& results);

}  // namespace tributary::detail
