// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// An architecture in words, block by block, from its description alone: nothing here knows a family. For `inspect`.
#pragma once

#include <string>
#include <vector>

#include "attribution/model/architecture.h"

namespace tributary {

/// A line for each kind of block ("blocks 0, 2: attention …"), those of equal blocks as ranges, then what stands before
/// and behind the blocks. What has no effect (a multiplier of 1, no window) is not named.
std::vector<std::string> lines_of_blocks(const Architecture& architecture);

}  // namespace tributary
