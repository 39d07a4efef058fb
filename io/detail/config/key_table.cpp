// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/key_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {
namespace {

std::string kind_name(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "a text";
    case Kind::path:
      return "a path";
    case Kind::integer:
      return "an integer";
    case Kind::number:
      return "a number";
    case Kind::boolean:
      return "true | false";
    case Kind::integers:
      return "a list of integers";
    case Kind::numbers:
      return "a list of numbers";
    case Kind::texts:
      return "a list of texts";
    case Kind::records:
      return "a list of mappings";
  }
  violate_contract(__FILE__, __LINE__, "a known Kind", "the table holds a kind that has no name");
}

/// A table that a reader of values could not obey.
void require_sound(const Key& key) {
  TRIBUTARY_EXPECT(key.kind != Kind::path || key.choices.empty(),
                   "'" + key.path + "': a path cannot be told from a word");
  TRIBUTARY_EXPECT((key.kind == Kind::records) == !key.fields.empty(),
                   "'" + key.path + "': records have fields, and nothing else has");
  TRIBUTARY_EXPECT(key.kind != Kind::records || key.choices.empty(), "'" + key.path + "': no word stands for records");
  for (const Key& field : key.fields) {
    require_sound(field);
    const bool is_scalar = field.kind == Kind::text || field.kind == Kind::path || field.kind == Kind::integer;
    TRIBUTARY_EXPECT(is_scalar, "'" + key.path + "': the field '" + field.path + "' is no text, path or integer");
    TRIBUTARY_EXPECT(field.fallback.empty(), "'" + key.path + "': the field '" + field.path + "' has a default");
  }
}

}  // namespace

std::string join_path(const std::string& group, const std::string& key) {
  return group.empty() ? key : group + "." + key;
}

std::string group_of(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

std::string last_segment(const std::string& path) { return path.substr(path.rfind('.') + 1); }

KeyTable::KeyTable(const std::vector<Key>& keys) : keys_(keys) {
  members_[""];
  for (const Key& key : keys) {
    TRIBUTARY_EXPECT(by_path_.emplace(key.path, &key).second, "the table has two rows for '" + key.path + "'");
    require_sound(key);
    for (std::string path = key.path; !path.empty(); path = group_of(path)) {
      TRIBUTARY_EXPECT(!last_segment(path).empty(), "the path '" + key.path + "' has an empty part");
      std::vector<std::string>& siblings = members_[group_of(path)];
      if (std::find(siblings.begin(), siblings.end(), last_segment(path)) == siblings.end()) {
        siblings.push_back(last_segment(path));
      }
    }
  }
}

const Key* KeyTable::find(const std::string& path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : found->second;
}

std::vector<std::string> KeyTable::words_above(const std::string& path) const {
  std::vector<std::string> words;
  for (std::string above = group_of(path); !above.empty(); above = group_of(above)) {
    if (by_path_.contains(above)) words.push_back(above);
  }
  return words;
}

std::string KeyTable::nearest_elsewhere(const std::string& key) const {
  std::vector<std::string> names;
  for (const Key& known : keys_) names.push_back(last_segment(known.path));
  const auto found = std::find(names.begin(), names.end(), nearest(key, names));
  return found == names.end() ? "" : keys_[static_cast<std::size_t>(found - names.begin())].path;
}

std::string KeyTable::known_in(const std::string& group) const {
  std::vector<std::string> names = members(group);
  if (group.empty()) names.emplace_back(kSweep);
  return "; known " + (group.empty() ? "at the top level" : "in " + group) + ": " + join(names);
}

std::string KeyTable::unknown_in_group(const std::string& group, const std::string& key) const {
  std::vector<std::string> siblings = members(group);
  if (group.empty()) siblings.emplace_back(kSweep);
  std::string guess = nearest(key, siblings);
  std::string place;
  if (guess.empty()) {
    guess = nearest_elsewhere(last_segment(key));
    if (!group.empty() && group_of(guess).empty()) place = " at the top level";
  }
  return "unknown key " + shown(key) + (group.empty() ? "" : " in " + group) +
         (guess.empty() ? known_in(group) : " (did you mean '" + guess + "'" + place + "?)");
}

std::string KeyTable::unknown_path(const std::string& path, const std::string& place) const {
  std::vector<std::string> paths;
  for (const auto& [group, names] : members_) {
    for (const std::string& name : names) paths.push_back(join_path(group, name));
  }
  std::string guess = nearest(path, paths);
  if (guess.empty()) guess = nearest_elsewhere(last_segment(path));
  std::string group = group_of(path);
  while (!is_group(group)) group = group_of(group);
  return "unknown key " + shown(path) + place + (guess.empty() ? known_in(group) : " (did you mean '" + guess + "'?)");
}

std::vector<std::string> field_names(const Key& key) {
  std::vector<std::string> names;
  for (const Key& field : key.fields) names.push_back(field.path);
  return names;
}

std::string allowed(const Key& key) {
  const std::string words = join(key.choices, " | ");
  if (key.kind == Kind::text) return words.empty() ? kind_name(key.kind) : words;
  if (key.kind == Kind::texts) return kind_name(key.kind) + (words.empty() ? "" : " among " + words);
  if (key.kind == Kind::records) return kind_name(key.kind) + " with " + join(field_names(key));
  const std::string limits = bounds(key);
  return (words.empty() ? "" : words + " | ") + kind_name(key.kind) + (limits.empty() ? "" : ", " + limits);
}

std::string bounds(const Key& key) {
  if (key.least == key.most) return fmt::format("exactly {}", key.least);
  std::vector<std::string> parts;
  if (std::isfinite(key.least)) parts.push_back(fmt::format("at least {}", key.least));
  if (std::isfinite(key.most)) parts.push_back(fmt::format("at most {}", key.most));
  return join(parts, " and ");
}

}  // namespace tributary::detail::config
