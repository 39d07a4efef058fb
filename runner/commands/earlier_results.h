// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Results that a sweep has left under other names: its runs are called after what differs between them, so a sweep that
// grows calls the same run otherwise.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace tributary {

class EarlierResults {
 public:
  /// Below `out`, in folders that an earlier form of the sweep has named; not in those that its runs have now, by name.
  /// What lies there else belongs to others.
  EarlierResults(std::filesystem::path out, std::set<std::string> folders);

  /// Moves results of this identity into the run's folder, which must be there; gives the file that was moved, nothing
  /// where there is none. Throws UserError when it cannot be moved.
  std::optional<std::filesystem::path> move_to(const std::string& folder, const std::string& identity);

 private:
  void look();

  std::filesystem::path out_;
  std::set<std::string> folders_, earlier_folders_;
  std::optional<std::map<std::string, std::filesystem::path>> found_;  // results by identity, once looked for
};

}  // namespace tributary
