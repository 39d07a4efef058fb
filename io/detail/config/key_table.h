// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Look-ups in the table of keys: which paths are keys, which are groups of keys, and which key somebody
// who wrote an unknown one most likely meant. Also what a key may hold, in words.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/config.h"

namespace tributary::detail::config {

/// "attribution.steps", or just "steps" when `group` is empty (the top level).
std::string join_path(const std::string& group, const std::string& key);
/// "attribution.steps" → "attribution"; empty for a top-level key.
std::string group_of(const std::string& path);
/// "attribution.steps" → "steps"
std::string last_segment(const std::string& path);

/// The key that holds the sweep; it is ours, not the table's.
inline constexpr std::string_view kSweep = "sweep";

/// A view of a table; `keys` must outlive it. ContractViolation for a table that contradicts itself.
class KeyTable {
 public:
  explicit KeyTable(const std::vector<Key>& keys);

  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  /// Null when there is no such key.
  [[nodiscard]] const Key* find(const std::string& path) const;
  /// Whether keys lie below `path`.
  [[nodiscard]] bool is_group(const std::string& path) const { return members_.contains(path); }
  /// Keys and groups directly in `group`, in table order.
  [[nodiscard]] const std::vector<std::string>& members(const std::string& group) const { return members_.at(group); }
  /// The keys that `path` lies below ("attribution.rules" for "attribution.rules.norm"); mostly none.
  [[nodiscard]] std::vector<std::string> words_above(const std::string& path) const;

  /// "unknown key 'stpes' in attribution (did you mean 'steps'?)", or with the known keys when nothing is near.
  [[nodiscard]] std::string unknown_in_group(const std::string& group, const std::string& key) const;
  /// The same for a path that was written whole; `place`: " in sweep.grid", or nothing for the command line.
  [[nodiscard]] std::string unknown_path(const std::string& path, const std::string& place = "") const;

 private:
  [[nodiscard]] std::string nearest_elsewhere(const std::string& key) const;
  [[nodiscard]] std::string known_in(const std::string& group) const;

  const std::vector<Key>& keys_;
  std::map<std::string, const Key*> by_path_;
  std::map<std::string, std::vector<std::string>> members_;  //!< last segments, by group
};

/// "an integer, at least 1", "atp | relp", "auto | an integer", "a list of mappings with path, layer": what a key may
/// hold.
std::string allowed(const Key& key);
/// Of the fields of records, in table order.
std::vector<std::string> field_names(const Key& key);
/// "at least 1 and at most 10"; empty without bounds.
std::string bounds(const Key& key);

}  // namespace tributary::detail::config
