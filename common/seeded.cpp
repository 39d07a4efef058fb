// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/seeded.h"

#include <limits>

namespace tributary {

std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

std::uint64_t draw_below(std::mt19937_64& random, std::uint64_t bound) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t largest_fair = most - (most % bound + 1) % bound;
  std::uint64_t value = random();
  while (value > largest_fair) value = random();
  return value % bound;
}

}  // namespace tributary
