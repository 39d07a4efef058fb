// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Reads `sweep` of one source of settings: the axes of grid and zip, the entries of exclude and include. Keys are
// written by their whole paths here.
#pragma once

#include <string>
#include <vector>

#include "io/detail/config/layer_source.h"

namespace tributary::detail::config {

class SweepReader {
 public:
  /// The source must outlive it.
  explicit SweepReader(LayerSource& source) : source_(source), table_(source.table()), sweep_(source.layer.sweep) {}

  /// The mapping of the key `sweep`.
  void read(const YamlNode& node);
  /// One `sweep.<below>=value`, where `below` is a part ("exclude") or one axis of it ("grid.attribution.steps").
  void read_override(const std::string& below, const YamlNode& value);
  /// Refuses axes of zip of different lengths; to be called once everything is read.
  void require_equal_lengths();

 private:
  struct Part;
  static const Part kParts[];
  static const Part* find_part(const std::string& name);

  void read_part(const Part& part, const YamlNode& node);
  void read_axes(const Part& part, const YamlNode& node);
  void read_axis(const Part& part, const std::string& path, Place key_place, const YamlNode& node);
  void read_points(const Part& part, const YamlNode& node);
  SweepPoint read_point(const Part& part, const YamlNode& node);
  void refuse_part(const std::string& name, Place place);
  void refuse_axis_key(const Part& part, const std::string& path, Place key_place, const YamlNode& node);

  LayerSource& source_;
  const KeyTable& table_;
  SweepLayer& sweep_;
};

}  // namespace tributary::detail::config
