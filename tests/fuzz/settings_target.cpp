// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A sweep file and overrides of the command line: the text, then an override behind each zero byte.
#include <string>
#include <string_view>
#include <vector>

#include "io/config.h"
#include "tests/fuzz/targets.h"
#include "tests/io/small_table.h"

namespace tributary::fuzz {

void read_settings_file(Bytes bytes) {
  static const std::vector<Key> table = small_table();
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> parts;
  for (bool more = true; more;) {
    const std::size_t end = rest.find('\0');
    parts.emplace_back(rest.substr(0, end));
    more = end != std::string_view::npos;
    if (more) rest.remove_prefix(end + 1);
  }
  const std::string file = parts.front();
  parts.erase(parts.begin());
  const auto path = file_of({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
  const std::vector<Settings> runs = read_settings(table, path, parts);
  require(!runs.empty(), "a file that is accepted has a run");
  const Settings& run = runs.back();
  require(run.label().size() <= 255 && run.label().find('/') == std::string::npos, "a label is a folder's name");
  const Settings again = settings_of(table, run.resolved(), "again");
  require(again.resolved() == run.resolved(), "what is written is read again as it was");
}

}  // namespace tributary::fuzz
