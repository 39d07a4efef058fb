// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/results/results_seal.h"

#include <xxhash.h>

#include <cinttypes>
#include <cstdio>

#include "common/errors.h"

namespace tributary::detail {
namespace {

constexpr std::string_view kTitle = "tributary results file, format 1 (HDF5 begins at byte 512)\n";
constexpr std::string_view kHash = "XXH3-128 of all bytes from there on: ";

std::string seal_of(std::string_view rest) {
  const XXH128_hash_t hash = XXH3_128bits(rest.data(), rest.size());
  char digits[33];
  std::snprintf(digits, sizeof digits, "%016" PRIx64 "%016" PRIx64, std::uint64_t{hash.high64},
                std::uint64_t{hash.low64});
  std::string text = std::string(kTitle).append(kHash).append(digits).append("\n");
  text.resize(kSealBytes, '\0');
  return text;
}

}  // namespace

void seal(std::string& file) {
  TRIBUTARY_EXPECT(file.size() > kSealBytes, "there is nothing to seal");
  file.replace(0, kSealBytes, seal_of(std::string_view(file).substr(kSealBytes)));
}

bool looks_like_results(std::string_view file) { return file.starts_with(kTitle); }

bool has_whole_seal(std::string_view file) {
  return file.size() > kSealBytes && file.starts_with(seal_of(file.substr(kSealBytes)));
}

}  // namespace tributary::detail
