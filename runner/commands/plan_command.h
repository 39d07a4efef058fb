// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a sweep file would do, without doing it.
#pragma once

#include "runner/commands/run_arguments.h"

namespace tributary {

/// Reads and checks what a run would but for the weights, computes nothing, and prints what would be done, on these
/// machines or on those described. Throws UserError.
void plan_command(const RunArguments& arguments);

}  // namespace tributary
