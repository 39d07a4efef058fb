// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The runs of a sweep: the product of its grid and its zip, without what is excluded and with what is included, a
// folder name for each.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/errors.h"
#include "io/detail/config/settings_layer.h"

namespace tributary::detail {

/// Axes that go together: one of the grid, or all of zip. Their points are equally many.
struct SweepAxis {
  std::vector<Axis> together;

  [[nodiscard]] std::size_t points() const { return together.front().points.size(); }
};

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
  Sweep(const KeyTable& table, const Layer& file, const Layer& command_line);

  /// Runs before exclusion, or `most` + 1 when there are more than `most`.
  [[nodiscard]] std::size_t count(std::size_t most) const;

  /// All runs in order: the product (last axis fastest), then the included ones. What is wrong with them as a whole is
  /// added to `problems`: nothing left, two of one name.
  [[nodiscard]] std::vector<SweepRun> runs(const std::string& file, std::vector<Problem>& problems) const;

 private:
  enum class Source { file, command_line };
  struct Swept {
    SweepAxis axis;
    Source source;
  };

  void add_zip(const KeyTable& table, const Layer& file, const Layer& command_line);
  [[nodiscard]] SweepRun run_at(std::size_t number) const;
  [[nodiscard]] bool excluded(const SweepRun& run) const;
  [[nodiscard]] std::string name_of(const std::string& path) const;

  std::vector<Swept> axes_;
  std::vector<SweepPoint> exclude_, include_;
  Source include_source_ = Source::file;
};

}  // namespace tributary::detail
