// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/journal/detail/journal_files.h"

#include <fstream>
#include <sstream>

#include "common/errors.h"
#include "io/atomic_file.h"

namespace tributary::detail {

std::string read_journal_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw RuntimeFailure(file.string() + ": cannot be read; check the disk and your permissions");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_json_file(const std::filesystem::path& file, const Json& json) {
  write_atomically(file, json.dump(1) + "\n");
}

}  // namespace tributary::detail
