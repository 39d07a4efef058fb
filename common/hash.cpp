// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace tributary {

std::string hash_of(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace tributary
