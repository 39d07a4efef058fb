// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the readers of one source of settings share: where its relative paths begin, how its places are named, which
// keys it has given so far, and how a value or a refusal gets into the layer.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/detail/config/settings_layer.h"
#include "io/detail/config/yaml_reader.h"

namespace tributary::detail::config {

/// Refers to the table, which must outlive it.
class LayerSource {
 public:
  /// Paths are relative to `folder`; `where` names a place for messages.
  LayerSource(const KeyTable& table, std::filesystem::path folder, std::function<std::string(Place)> where);

  SettingsLayer layer;
  std::vector<Complaint> complaints;

  [[nodiscard]] const KeyTable& table() const { return table_; }
  [[nodiscard]] std::string where(Place place) const { return where_(place); }

  /// The value of a key, or nothing and a complaint.
  std::optional<Given> read_given(const Key& key, const YamlNode& node);
  /// Whether no entry of this path was met before; a second one is refused.
  bool is_first(const std::string& path, const YamlEntry& entry);
  /// From here on every key is a first one again: a later override replaces an earlier one.
  void forget_keys_met() { met_.clear(); }
  /// Complains, and notes that the content of `path` cannot be used.
  void refuse(const std::string& path, Place place, const std::string& text);

 private:
  const KeyTable& table_;
  std::filesystem::path folder_;
  std::function<std::string(Place)> where_;
  std::map<std::string, Place> met_;  //!< every key met, by whole path
};

}  // namespace tributary::detail::config
