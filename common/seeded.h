// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Seeded randomness that is the same on every machine: the standard's distributions and shuffle differ
// between libraries.
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace tributary {

/// splitmix64 (Steele, Lea & Flood 2014): a well-mixed function of its input.
std::uint64_t mixed(std::uint64_t value);

/// Uniform in [0, bound), bound >= 1.
std::uint64_t draw_below(std::mt19937_64& random, std::uint64_t bound);

/// Fisher–Yates shuffle, from the end.
template <typename T>
void shuffle(std::vector<T>& items, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t last = items.size(); last-- > 1;) std::swap(items[last], items[draw_below(random, last + 1)]);
}

}  // namespace tributary
