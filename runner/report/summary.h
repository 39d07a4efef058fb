// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A results file as a table that a person reads on a terminal.
#pragma once

#include <string>

#include "io/results.h"

namespace tributary {

/// How well the model does the task, method, pairs, residual, top nodes, k → faithfulness / completeness, agreement
/// with exact patching and steering.
std::string summary_of(const ResultsFile& results);

}  // namespace tributary
