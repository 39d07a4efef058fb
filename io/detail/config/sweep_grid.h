// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs of a sweep: the product of its grid and its zip, without what is excluded and with what is included, a
// folder name for each.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "io/detail/config/settings_layer.h"
#include "io/detail/config/settings_problems.h"
#include "io/detail/config/sweep_names.h"

namespace tributary::detail::config {

/// What one run sets, over the file's own values and under those of the command line.
struct SweepRun {
  GivenValues file;          //!< by the file's grid, zip or include
  GivenValues command_line;  //!< by the command line's
  std::string label;         //!< a folder name; empty for the only run of no sweep
};

/// The sweep of file and command line together. An override of a key ends its sweep; a list of the grid replaces the
/// file's of that key; zip, exclude and include of the command line each replace the file's.
class Sweep {
 public:
  Sweep(const KeyTable& table, const SettingsLayer& file, const SettingsLayer& command_line);

  /// Runs before exclusion, or `most` + 1 when there are more than `most`.
  [[nodiscard]] std::size_t count(std::size_t most) const;

  /// All runs in order: the product (last axis fastest), then the included ones. What is wrong with them as a whole is
  /// added to `problems`: nothing left, two of one name.
  [[nodiscard]] std::vector<SweepRun> runs(SettingsProblems& problems) const;

 private:
  void add_grid(const KeyTable& table, const SettingsLayer& file, const SettingsLayer& command_line);
  void add_zip(const KeyTable& table, const SettingsLayer& file, const SettingsLayer& command_line);
  [[nodiscard]] std::size_t product() const;
  [[nodiscard]] std::vector<std::size_t> points_of(std::size_t number) const;
  [[nodiscard]] SweepRun run_at(const std::vector<std::size_t>& points) const;
  [[nodiscard]] bool excluded(const SweepRun& run) const;

  std::vector<SweepAxis> axes_;
  std::vector<SweepPoint> exclude_, include_;
  Source include_source_ = Source::file;
};

}  // namespace tributary::detail::config
