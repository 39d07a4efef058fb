// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What one source of settings says, the file or the command line: values by key, and its part of the sweep. It is
// checked against the table but not yet combined with the other source. Plain data; layer_reader.h fills it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/config.h"
#include "io/detail/base/text_places.h"
#include "io/detail/config/key_table.h"

namespace tributary::detail::config {

enum class Source { file, command_line };

/// A value with the place it came from.
struct Given {
  Value value;
  std::string where;                            //!< "sweep.yaml:7:5", "command line" or "default"
  std::string written;                          //!< as written, on one line, of a path its last part: for labels
  enum class Hole { no, yes } hole = Hole::no;  //!< null in a list of zip: the key is not given in that run
};

using GivenValues = std::map<std::string, Given>;

/// One key of sweep.grid or sweep.zip with its values.
struct Axis {
  std::string path;
  Place place;  //!< of the key
  std::vector<Given> points;
};

/// Some keys with a value each: an entry of sweep.exclude or sweep.include.
struct SweepPoint {
  GivenValues values;
  std::vector<std::string> order;  //!< its keys as they were written
};

/// What one source says about the sweep.
struct SweepLayer {
  std::vector<Axis> grid;  //!< in the order in which they were written; every value of one meets every value of another
  std::vector<Axis> zip;   //!< of equal lengths: the first values go together, then the second ones, …
  Place zip_place;         //!< of the mapping that holds them
  std::vector<SweepPoint> exclude, include;

  /// Whether an axis of the grid or of zip has this path.
  [[nodiscard]] bool sweeps(const std::string& path) const;
};

struct SettingsLayer {
  GivenValues values;
  SweepLayer sweep;
  std::map<std::string, Place> mappings;  //!< every mapping that was read, by path: where a missing key belongs
  std::set<std::string> refused;          //!< keys and groups whose content could not be used

  /// Whether it sets `path`, to one value or to those of an axis.
  [[nodiscard]] bool sets(const std::string& path) const;
  /// Whether it sets `path`, or a word above it ("attribution.rules") which replaces what lower layers hold below.
  [[nodiscard]] bool replaces(const KeyTable& table, const std::string& path) const;
};

}  // namespace tributary::detail::config
