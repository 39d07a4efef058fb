// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The dry cousins of `tributary run`: what a sweep file would do.
#pragma once

#include "runner/commands/run_arguments.h"

namespace tributary {

/// Reads and checks everything a run would, computes nothing, and prints what would be done. Throws UserError.
void plan_command(const RunArguments& arguments);
/// Checks the sweep file alone. Throws UserError.
void validate_command(const RunArguments& arguments);

}  // namespace tributary
