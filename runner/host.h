// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The machine that this process runs on.
#pragma once

#include <string>

namespace tributary {

/// Its name as the operating system knows it; "unknown" where it has none.
std::string host_name();
/// The model of its CPU, as Linux names it; "unknown" where it does not.
std::string cpu_model();
/// What the last digits of its numbers depend on: the CPU's model and instruction set; on a machine with cards, theirs.
std::string processor_kind();

}  // namespace tributary
