// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <type_traits>
#include <utility>

#include "common/errors.h"
#include "io/config.h"
#include "io/detail/config/key_table.h"
#include "io/detail/config/value_paths.h"
#include "io/detail/config/yaml_text.h"

namespace tributary {

using detail::config::join_path;
using detail::config::KeyTable;
using detail::config::without_paths;
using detail::config::yaml_text;

namespace {

const Key& row(const std::vector<Key>& table, const std::string& path) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Key& key) { return key.path == path; });
  TRIBUTARY_EXPECT(found != table.end(), "the table has no key '" + path + "'");
  return *found;
}

/// Whether a key may hold a T at all; asking for another type would never give anything.
template <typename T>
bool may_hold(const Key& key) {
  if constexpr (std::is_same_v<T, std::filesystem::path>) return key.kind == Kind::path;
  if constexpr (std::is_same_v<T, std::string>) {
    return key.kind == Kind::text || (!key.choices.empty() && key.kind != Kind::texts);
  }
  if constexpr (std::is_same_v<T, std::int64_t>) return key.kind == Kind::integer;
  if constexpr (std::is_same_v<T, double>) return key.kind == Kind::number;
  if constexpr (std::is_same_v<T, bool>) return key.kind == Kind::boolean;
  if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) return key.kind == Kind::integers;
  if constexpr (std::is_same_v<T, std::vector<double>>) return key.kind == Kind::numbers;
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return key.kind == Kind::texts;
  if constexpr (std::is_same_v<T, Records>) return key.kind == Kind::records;
}

/// Whether a key is one of these groups or below one.
bool in_any(const Key& key, const std::vector<std::string>& groups) {
  return std::any_of(groups.begin(), groups.end(), [&key](const std::string& group) {
    return key.path == group || key.path.starts_with(group + ".");
  });
}

/// Writes values as nested YAML in table order.
class YamlWriter {
 public:
  /// `values`: YAML text by path.
  YamlWriter(const std::vector<Key>& keys, std::map<std::string, std::string> values)
      : table_(keys), values_(std::move(values)) {}

  std::string write() {
    write_group("", 0);
    return text_.empty() ? "{}\n" : text_;
  }

 private:
  void write_group(const std::string& group, std::size_t depth) {
    for (const std::string& member : table_.members(group)) {
      const std::string path = join_path(group, member);
      write_value(path, group, depth);
      if (!any_below(path)) continue;
      if (table_.find(path) != nullptr) {
        write_beside_word(path, group, depth);
      } else {
        text_ += indented(depth) + member + ":\n";
        write_group(path, depth + 1);
      }
    }
  }

  /// A word and the values below it cannot both be nested under one name: `rules: relp` and `rules.half: true`.
  void write_beside_word(const std::string& word, const std::string& group, std::size_t depth) {
    for (const Key& key : table_.keys()) {
      if (key.path.starts_with(word + ".")) write_value(key.path, group, depth);
    }
  }

  void write_value(const std::string& path, const std::string& group, std::size_t depth) {
    const auto value = values_.find(path);
    if (value == values_.end()) return;
    const std::string name = group.empty() ? path : path.substr(group.size() + 1);
    text_ += indented(depth) + name + ": " + value->second + "\n";
  }

  [[nodiscard]] bool any_below(const std::string& path) const {
    const auto next = values_.lower_bound(path + ".");
    return next != values_.end() && next->first.starts_with(path + ".");
  }

  static std::string indented(std::size_t depth) { return std::string(2 * depth, ' '); }

  const KeyTable table_;
  const std::map<std::string, std::string> values_;
  std::string text_;
};

}  // namespace

bool Settings::given(const std::string& path) const {
  row(*table_, path);
  const auto held = held_.find(path);
  return held != held_.end() && held->second.given;
}

bool Settings::has(const std::string& path) const {
  row(*table_, path);
  return held_.contains(path);
}

std::string Settings::where(const std::string& path) const {
  row(*table_, path);
  const auto held = held_.find(path);
  return held == held_.end() ? "default" : held->second.where;
}

template <typename T>
std::optional<T> Settings::get(const std::string& path) const {
  TRIBUTARY_EXPECT(may_hold<T>(row(*table_, path)), "'" + path + "' is asked for as a type that it never holds");
  const auto held = held_.find(path);
  if (held == held_.end()) return std::nullopt;
  using Stored = std::conditional_t<std::is_same_v<T, std::filesystem::path>, std::string, T>;
  const auto* value = std::get_if<Stored>(&held->second.value);
  return value == nullptr ? std::nullopt : std::optional<T>(*value);
}

template <typename T>
T Settings::at(const std::string& path) const {
  const std::optional<T> value = get<T>(path);
  TRIBUTARY_EXPECT(value.has_value(), "'" + path + "' has no such value; ask with get");
  return *value;
}

std::string Settings::resolved() const {
  return yaml_of([this](const std::string& path) { return has(path); });
}

std::string Settings::as_given() const {
  return yaml_of([this](const std::string& path) { return given(path); });
}

std::string Settings::yaml_of(const std::function<bool(const std::string& path)>& wanted) const {
  std::map<std::string, std::string> values;
  for (const Key& key : *table_) {
    if (wanted(key.path)) values.emplace(key.path, yaml_text(held_.at(key.path).value));
  }
  return YamlWriter(*table_, std::move(values)).write();
}

std::string Settings::lines_of(Paths paths, const std::function<bool(const Key& key)>& wanted) const {
  std::string text;
  for (const Key& key : *table_) {
    if (!has(key.path) || !wanted(key) || (paths == Paths::left_out && key.kind == Kind::path)) continue;
    const Value& value = held_.at(key.path).value;
    text += key.path + " = " + yaml_text(paths == Paths::left_out ? without_paths(key, value) : value) + "\n";
  }
  return text;
}

std::string Settings::identity_text(const std::set<Effect>& effects) const {
  return lines_of(Paths::left_out, [&effects](const Key& key) { return effects.contains(key.effect); });
}

std::string Settings::text_of(const std::vector<std::string>& groups) const {
  return lines_of(Paths::left_out, [&groups](const Key& key) { return in_any(key, groups); });
}

std::string Settings::text_without(const std::vector<std::string>& groups) const {
  return lines_of(Paths::included, [&groups](const Key& key) { return !in_any(key, groups); });
}

Settings Settings::with(const std::string& path, Value value) const {
  TRIBUTARY_EXPECT(has(path), "only what has a value gets another one");
  Settings changed = *this;
  Held& held = changed.held_.at(path);
  held.value = std::move(value);
  held.given = true;
  return changed;
}

std::vector<std::string> Settings::keys_that_differ(const Settings& other) const {
  TRIBUTARY_EXPECT(table_ == other.table_, "settings of two tables cannot be compared");
  std::vector<std::string> paths;
  for (const Key& key : *table_) {
    if (key.effect == Effect::speed || key.kind == Kind::path) continue;
    const bool here = has(key.path);
    const bool there = other.has(key.path);
    const auto differ = [&] {
      return without_paths(key, held_.at(key.path).value) != without_paths(key, other.held_.at(key.path).value);
    };
    if (here != there || (here && differ())) paths.push_back(key.path);
  }
  return paths;
}

template std::optional<std::string> Settings::get(const std::string&) const;
template std::optional<std::int64_t> Settings::get(const std::string&) const;
template std::optional<double> Settings::get(const std::string&) const;
template std::optional<bool> Settings::get(const std::string&) const;
template std::optional<std::vector<std::int64_t>> Settings::get(const std::string&) const;
template std::optional<std::vector<double>> Settings::get(const std::string&) const;
template std::optional<std::vector<std::string>> Settings::get(const std::string&) const;
template std::optional<Records> Settings::get(const std::string&) const;
template std::optional<std::filesystem::path> Settings::get(const std::string&) const;

template std::string Settings::at(const std::string&) const;
template std::int64_t Settings::at(const std::string&) const;
template double Settings::at(const std::string&) const;
template bool Settings::at(const std::string&) const;
template std::vector<std::int64_t> Settings::at(const std::string&) const;
template std::vector<double> Settings::at(const std::string&) const;
template std::vector<std::string> Settings::at(const std::string&) const;
template Records Settings::at(const std::string&) const;
template std::filesystem::path Settings::at(const std::string&) const;

}  // namespace tributary
