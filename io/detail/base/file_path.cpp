// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/file_path.h"

#include <system_error>

#include "common/errors.h"

namespace tributary::detail {

std::string absolute_path(const std::filesystem::path& folder, const std::string& written) {
  const std::filesystem::path joined = folder / written;
  std::filesystem::path shorter = joined.lexically_normal();
  if (!shorter.has_filename()) shorter = shorter.parent_path();
  std::error_code error;
  // "link/.." is not the folder that the link stands in.
  const bool elsewhere = std::filesystem::exists(joined, error) && !std::filesystem::equivalent(joined, shorter, error);
  return (elsewhere ? joined : shorter).string();
}

std::filesystem::path current_folder() {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::current_path(error);
  if (error)
    throw RuntimeFailure("cannot find the current folder (" + error.message() + "); change to one that exists");
  return folder;
}

}  // namespace tributary::detail
