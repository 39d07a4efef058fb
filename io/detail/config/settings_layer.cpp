// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/settings_layer.h"

#include <algorithm>

namespace tributary::detail::config {

bool SweepLayer::sweeps(const std::string& path) const {
  const auto is_it = [&path](const Axis& axis) { return axis.path == path; };
  return std::any_of(grid.begin(), grid.end(), is_it) || std::any_of(zip.begin(), zip.end(), is_it);
}

bool SettingsLayer::sets(const std::string& path) const { return values.contains(path) || sweep.sweeps(path); }

bool SettingsLayer::replaces(const KeyTable& table, const std::string& path) const {
  const std::vector<std::string> words = table.words_above(path);
  return sets(path) || std::any_of(words.begin(), words.end(), [&](const std::string& word) { return sets(word); });
}

}  // namespace tributary::detail::config
