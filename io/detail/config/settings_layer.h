// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What one source of settings says, the file or the command line, read and checked against the table but not
// yet combined with the other: values by key, and the axes of a sweep.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/config.h"
#include "io/detail/config/key_table.h"
#include "io/detail/config/yaml_reader.h"

namespace tributary::detail {

/// A value with the place it came from.
struct Given {
  Value value;
  std::string where;                            //!< "sweep.yaml:7:5", "command line" or "default"
  std::string written;                          //!< as written, on one line, of a path its last part: for labels
  enum class Hole { no, yes } hole = Hole::no;  //!< null in a list of zip: the key is not given in that run
};

using GivenValues = std::map<std::string, Given>;

/// One key of sweep.grid with its values.
struct Axis {
  std::string path;
  std::vector<Given> points;
};

/// Some keys with a value each: an entry of sweep.exclude or sweep.include.
struct SweepPoint {
  GivenValues values;
  std::vector<std::string> order;  //!< its keys as they were written
  std::string where;
};

struct Layer {
  GivenValues values;
  std::vector<Axis> axes;  //!< of the grid, in file order
  std::vector<Axis> zip;   //!< of equal lengths: they go together
  std::vector<SweepPoint> exclude, include;
  std::map<std::string, Place>
      mappings;                   //!< every mapping that was read, by path: where a missing key should have been
  std::set<std::string> refused;  //!< keys and groups whose content could not be used

  /// Whether an axis of the grid or of zip has this path.
  [[nodiscard]] bool sweeps(const std::string& path) const;
  /// Whether it sets `path`, to one value or to those of an axis.
  [[nodiscard]] bool sets(const std::string& path) const;
  /// Whether it sets `path`, or a word above it ("attribution.rules") which replaces what lower layers hold below.
  [[nodiscard]] bool replaces(const KeyTable& table, const std::string& path) const;
};

/// Reads YAML values into a layer. Keys nobody knows, duplicates and bad values go to `complaints`.
class LayerReader {
 public:
  /// Paths are relative to `folder`; `where` names a place for messages.
  LayerReader(const KeyTable& table, std::filesystem::path folder, std::function<std::string(Place)> where);

  Layer layer;
  std::vector<Complaint> complaints;

  /// The whole of a file.
  void read_root(const YamlNode& root);
  /// One `path=value`; it replaces what an earlier override said about `path`.
  void read_override(const std::string& path, const YamlNode& value);

 private:
  void read_group(const std::string& group, const YamlNode& node);
  void read_member(const std::string& group, const YamlEntry& entry);
  void read_known(const std::string& path, const YamlNode& node);
  void read_sweep(const YamlNode& node);
  void read_sweep_part(const std::string& part, const YamlNode& node);
  void read_axes(const std::string& part, const YamlNode& node);
  void read_axis(const std::string& part, const std::string& path, Place key_place, const YamlNode& node);
  void require_equal_lengths(Place place);
  void read_points(const std::string& part, const YamlNode& node);
  SweepPoint read_point(const std::string& part, const YamlNode& node);
  void refuse_axis_key(const std::string& part, const std::string& path, Place key_place, const YamlNode& node);
  void refuse_sweep_key(const std::string& key, Place key_place);
  std::optional<Given> read_given(const Key& key, const YamlNode& node);
  bool is_first(const std::string& path, const YamlEntry& entry);
  void refuse(const std::string& path, Place place, const std::string& text);

  const KeyTable& table_;
  std::filesystem::path folder_;
  std::function<std::string(Place)> where_;
  std::map<std::string, Place> seen_;  //!< every key met, by whole path
};

}  // namespace tributary::detail
