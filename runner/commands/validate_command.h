// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a sweep, found without computing.
#pragma once

#include "runner/commands/run_arguments.h"

namespace tributary {

/// Checks the sweep file, and against it what it names: each model's config.json, tokenizer.json and the headers of its
/// weights, and the pairs; or the file alone. Prints what there is. Throws UserError with every mistake of every run,
/// each once.
void validate_command(const RunArguments& arguments);

}  // namespace tributary
