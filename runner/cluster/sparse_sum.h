// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Adding sparse sums. What is there depends on the keys of both alone, never on who comes first in time.
#pragma once

#include "runner/cluster/units.h"

namespace tributary {

/// Whether keys ascend, each with `width` values, and the width is 0 where there are no keys.
bool is_sound(const SparseSum& sum);

/// left + right, in this order, where both have a key; the numbers of all other keys as they are. Throws
/// ContractViolation when both have keys and their widths differ.
SparseSum added(SparseSum left, SparseSum right);

}  // namespace tributary
