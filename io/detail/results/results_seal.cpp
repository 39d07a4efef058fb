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

std::string broken_seal(std::string_view file) {
  if (!file.starts_with(kTitle)) {
    return "this is not a results file (it does not begin as one); name a results.h5 that this program wrote";
  }
  if (file.size() > kSealBytes && file.starts_with(seal_of(file.substr(kSealBytes)))) return "";
  return "the results file is damaged or was changed (its bytes do not match their hash); copy it again, or have it "
         "written again";
}

}  // namespace tributary::detail
