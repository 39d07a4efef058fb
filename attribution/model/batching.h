// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How much goes into one network call, and what happens between two calls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace tributary {

/// How many sequences go into one network call; changes speed and memory, no bit of a result on the CPU.
struct Batching {
  std::int64_t rows = 512;                   //!< sequences × positions, at most (at least one sequence)
  std::function<void()> between_calls = {};  //!< before each network call of a loop; may throw to abandon the unit

  void pause() const {
    if (between_calls) between_calls();
  }

  [[nodiscard]] std::int64_t sequences(std::int64_t length) const { return std::max<std::int64_t>(1, rows / length); }
};

}  // namespace tributary
