// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether bits hold here: that neurons and their gradients do not depend on what else is in a batch, tried on
// the model's own shapes at start-up.
#pragma once

#include "runner/job/job.h"

namespace tributary {

/// Compares the longest training prompt computed alone with the same prompt among others, and with its first positions
/// computed once for several, bit by bit.
bool bits_hold(const Job& job);

}  // namespace tributary
