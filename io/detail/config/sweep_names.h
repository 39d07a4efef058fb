// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The folder names of a sweep's runs: the keys that tell them apart, each by the shortest tail of its path that no
// other has, with their values. Knows nothing of what the values do.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "io/detail/config/settings_layer.h"

namespace tributary::detail::config {

/// Axes that go together: one of the grid, or all of zip. Their points are equally many.
struct SweepAxis {
  std::vector<Axis> together;
  Source source = Source::file;

  [[nodiscard]] std::size_t points() const { return together.front().points.size(); }
  /// Whether it tells runs apart, and so has a part in their names.
  [[nodiscard]] bool is_named() const { return points() > 1; }
};

/// The parts of the names, worked out once for the whole sweep: naming a run only joins them.
class SweepNames {
 public:
  /// Refers to both, which must outlive it.
  SweepNames(const std::vector<SweepAxis>& axes, const std::vector<SweepPoint>& include);

  /// Of the run at these points, one of every axis: "method=atp,steps=10"; empty when no axis tells runs apart.
  [[nodiscard]] std::string of(const std::vector<std::size_t>& points) const;
  /// Of a run that the sweep includes.
  [[nodiscard]] std::string of(const SweepPoint& included) const;

 private:
  /// Of one axis: the name of its key, and of every point.
  struct AxisNames {
    std::string key;
    std::vector<std::string> points;
  };

  const std::vector<SweepAxis>& axes_;
  std::map<std::string, std::string> short_names_;  //!< of the keys that have a part in a name, by path
  std::vector<std::vector<AxisNames>> names_;       //!< of the axes that go together, by place in `axes`
};

/// The name itself, or, when it is too long for a folder, its beginning and a hash of all of it: the same whatever
/// other runs there are ("method=atp,…,hash=1f0c9a3e").
std::string fitting(const std::string& name);

}  // namespace tributary::detail::config
