// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether bits hold here: that neurons and their gradients do not depend on what else is in a batch, tried on
// the model's own shapes at start-up.
#pragma once

#include <cstdint>

#include "runner/job/job.h"

namespace tributary {

/// How much is tried.
struct BitsCheck {
  std::int64_t blocks = 2;  //!< the last one, which computes the last position only, and some that are like the others
  std::int64_t rows = 0;    //!< of a network call to be tried besides small ones; 0: none
};

/// Compares the longest training prompt computed alone with the same prompt among others, and with its first positions
/// computed once for several, bit by bit.
bool bits_hold(const Job& job, const BitsCheck& check = {});

}  // namespace tributary
