// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/detail/journal_files.h"

#include "common/errors.h"
#include "common/text.h"
#include "io/atomic_file.h"

namespace tributary::detail {

std::string read_journal_file(const std::filesystem::path& file) {
  try {
    return read_file(file.string());
  } catch (const UserError& error) {
    throw RuntimeFailure(error.what());
  }
}

void write_json_file(const std::filesystem::path& file, const Json& json) {
  write_atomically(file, json.dump(1) + "\n");
}

}  // namespace tributary::detail
