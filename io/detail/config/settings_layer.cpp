// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/settings_layer.h"

#include <algorithm>
#include <utility>

#include "common/text.h"
#include "io/detail/base/file_path.h"
#include "io/detail/config/value_reader.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail {
namespace {

const std::vector<std::string> kParts = {"grid", "zip", "exclude", "include"};

/// "sweep.grid"
std::string part_path(const std::string& part) { return join_path(std::string(kSweep), part); }

bool is_part(const std::string& key) { return std::find(kParts.begin(), kParts.end(), key) != kParts.end(); }

bool is_mapping(const YamlNode& node) { return node.type == YamlNode::Type::mapping; }

/// What stands in place of a mapping or list, for messages.
std::string what_is(const YamlNode& node) {
  switch (node.type) {
    case YamlNode::Type::null:
      return "empty or null";
    case YamlNode::Type::scalar:
      return shown(node.text);
    case YamlNode::Type::list:
      return "a list";
    default:
      return "a mapping";
  }
}

/// `steps:10` is one word to YAML.
std::string missing_space_hint(const YamlNode& node) {
  const bool likely = node.type == YamlNode::Type::scalar && node.text.find(':') != std::string::npos;
  return likely ? " (a space must follow the ':' of a key)" : "";
}

struct LabelText {
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(const std::vector<std::string>& texts) const { return join(texts, "-"); }
  template <typename T>
  std::string operator()(const std::vector<T>& numbers) const {
    std::vector<std::string> texts;
    for (const T number : numbers) texts.push_back(yaml_text(Value{number}));
    return join(texts, "-");
  }
  template <typename T>
  std::string operator()(T value) const {
    return yaml_text(Value{value});
  }
};

}  // namespace

bool Layer::sweeps(const std::string& path) const {
  const auto is_it = [&path](const Axis& axis) { return axis.path == path; };
  return std::any_of(axes.begin(), axes.end(), is_it) || std::any_of(zip.begin(), zip.end(), is_it);
}

bool Layer::sets(const std::string& path) const { return values.contains(path) || sweeps(path); }

bool Layer::replaces(const KeyTable& table, const std::string& path) const {
  const std::vector<std::string> words = table.words_above(path);
  return sets(path) || std::any_of(words.begin(), words.end(), [&](const std::string& word) { return sets(word); });
}

LayerReader::LayerReader(const KeyTable& table, std::filesystem::path folder, std::function<std::string(Place)> where)
    : table_(table), folder_(std::move(folder)), where_(std::move(where)) {}

void LayerReader::refuse(const std::string& path, Place place, const std::string& text) {
  complaints.push_back({place, text});
  layer.refused.insert(path);
}

void LayerReader::read_root(const YamlNode& root) {
  if (!is_mapping(root)) {
    refuse("", root.place,
           "the file must be a mapping of keys to values, not " + what_is(root) + missing_space_hint(root) +
               "; write 'key: value' on each line");
    return;
  }
  read_group("", root);
}

void LayerReader::read_override(const std::string& path, const YamlNode& value) {
  seen_.clear();
  const std::string sweep(kSweep);
  if (path == sweep) {
    read_sweep(value);
  } else if (path.starts_with(sweep + ".")) {
    const std::string rest = path.substr(sweep.size() + 1);
    const std::size_t dot = rest.find('.');
    const std::string part = rest.substr(0, dot);
    const bool axis = dot != std::string::npos && (part == "grid" || part == "zip");
    if (axis) {
      read_axis(part, rest.substr(dot + 1), value.place, value);
    } else if (is_part(rest)) {
      read_sweep_part(rest, value);
    } else {
      refuse_sweep_key(rest, value.place);
    }
  } else if (table_.find(path) == nullptr && !table_.is_group(path)) {
    refuse(path, value.place, table_.unknown_path(path));
  } else {
    read_known(path, value);
  }
}

bool LayerReader::is_first(const std::string& path, const YamlEntry& entry) {
  const auto [first, inserted] = seen_.emplace(path, entry.place);
  if (!inserted) {
    refuse(path, entry.place,
           "duplicate key " + shown(path) + " (first given at line " + std::to_string(first->second.line) +
               "); keep one of the two");
  }
  return inserted;
}

void LayerReader::read_group(const std::string& group, const YamlNode& node) {
  layer.mappings.emplace(group, node.place);
  for (const YamlEntry& entry : node.entries) read_member(group, entry);
}

void LayerReader::read_member(const std::string& group, const YamlEntry& entry) {
  const std::string path = join_path(group, entry.key);
  const bool dotted = entry.key.find('.') != std::string::npos;
  const bool known = table_.find(path) != nullptr || table_.is_group(path) || path == kSweep;
  if (!known) {
    refuse(path, entry.place, table_.unknown_in_group(group, entry.key));
  } else if (dotted && table_.words_above(path).empty()) {
    refuse(path, entry.place,
           "the key " + shown(entry.key) + " must be written nested, as '" + entry.key.substr(0, entry.key.find('.')) +
               ": {" + entry.key.substr(entry.key.find('.') + 1) + ": …}' (a file has one way to write " + path + ")");
  } else if (is_first(path, entry)) {
    path == kSweep ? read_sweep(entry.value) : read_known(path, entry.value);
  }
}

void LayerReader::read_known(const std::string& path, const YamlNode& node) {
  const Key* key = table_.find(path);
  if (table_.is_group(path) && (key == nullptr || is_mapping(node))) {
    if (is_mapping(node)) return read_group(path, node);
    return refuse(path, node.place,
                  path + " is a group of keys (" + join(table_.members(path)) + "), not " + what_is(node) +
                      missing_space_hint(node) + "; give its keys, or remove it");
  }
  if (auto given = read_given(*key, node)) layer.values[path] = std::move(*given);
}

std::optional<Given> LayerReader::read_given(const Key& key, const YamlNode& node) {
  std::optional<Value> value = read_value(key, node, complaints);
  if (!value) {
    layer.refused.insert(key.path);
    return std::nullopt;
  }
  Given given{*value, where_(node.place), std::visit(LabelText{}, *value)};
  if (key.kind == Kind::path) {
    given.value = absolute_path(folder_, std::get<std::string>(*value));
    const std::filesystem::path whole(std::get<std::string>(given.value));
    given.written = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  }
  return given;
}

void LayerReader::refuse_sweep_key(const std::string& key, Place key_place) {
  refuse(std::string(kSweep), key_place, "unknown key " + shown(key) + " in sweep; known in sweep: " + join(kParts));
}

void LayerReader::read_sweep(const YamlNode& node) {
  if (!is_mapping(node)) {
    return refuse(std::string(kSweep), node.place,
                  "sweep must be a mapping, not " + what_is(node) + missing_space_hint(node) +
                      "; write sweep: {grid: {key.path: [values]}}, or remove it");
  }
  for (const YamlEntry& entry : node.entries) {
    if (!is_part(entry.key)) {
      refuse_sweep_key(entry.key, entry.place);
    } else if (is_first(part_path(entry.key), entry)) {
      read_sweep_part(entry.key, entry.value);
    }
  }
}

void LayerReader::read_sweep_part(const std::string& part, const YamlNode& node) {
  part == "grid" || part == "zip" ? read_axes(part, node) : read_points(part, node);
}

void LayerReader::read_axes(const std::string& part, const YamlNode& node) {
  if (!is_mapping(node)) {
    return refuse(part_path(part), node.place,
                  part_path(part) + " must be a mapping, not " + what_is(node) + missing_space_hint(node) + "; write " +
                      part + ": {key.path: [values]}, or remove " + (part == "grid" ? "sweep" : "it"));
  }
  for (const YamlEntry& entry : node.entries) {
    if (is_first(part_path(part) + "." + entry.key, entry)) read_axis(part, entry.key, entry.place, entry.value);
  }
  if (part == "zip") require_equal_lengths(node.place);
}

void LayerReader::require_equal_lengths(Place place) {
  for (const Axis& axis : layer.zip) {
    const Axis& first = layer.zip.front();
    if (axis.points.size() == first.points.size() || layer.refused.contains(axis.path)) continue;
    refuse(part_path("zip"), place,
           "sweep.zip: " + axis.path + " has " + std::to_string(axis.points.size()) + " values and " + first.path +
               " has " + std::to_string(first.points.size()) +
               " (they go together, value by value); make the lists equally long, or move one to grid");
    return;
  }
}

/// A list of mappings of keys, by their whole paths, to one value each.
void LayerReader::read_points(const std::string& part, const YamlNode& node) {
  if (node.type != YamlNode::Type::list || node.items.empty()) {
    const std::string found = node.type == YamlNode::Type::list ? "an empty list" : what_is(node);
    return refuse(part_path(part), node.place,
                  part_path(part) + " must be a list of mappings, not " + found + "; write " + part +
                      ": [{key.path: value}], or remove it");
  }
  std::vector<SweepPoint>& points = part == "exclude" ? layer.exclude : layer.include;
  points.clear();  // the command line's last word
  for (const YamlNode& item : node.items) points.push_back(read_point(part, item));
}

SweepPoint LayerReader::read_point(const std::string& part, const YamlNode& node) {
  SweepPoint point{{}, {}, where_(node.place)};
  if (!is_mapping(node) || node.entries.empty()) {
    refuse(part_path(part), node.place,
           "an entry of " + part_path(part) + " must be a mapping of keys to values, not " + what_is(node) +
               "; write {key.path: value}");
    return point;
  }
  for (const YamlEntry& entry : node.entries) {
    const Key* key = table_.find(entry.key);
    if (key == nullptr) {
      refuse_axis_key(part, entry.key, entry.place, entry.value);
    } else if (std::optional<Given> given = read_given(*key, entry.value)) {
      if (point.values.emplace(entry.key, std::move(*given)).second) point.order.push_back(entry.key);
    }
  }
  return point;
}

void LayerReader::refuse_axis_key(const std::string& part, const std::string& path, Place key_place,
                                  const YamlNode& node) {
  const std::string in = " in " + part_path(part);
  if (!table_.is_group(path)) return refuse(path, key_place, table_.unknown_path(path, in));
  const std::string member = is_mapping(node) && !node.entries.empty() ? node.entries[0].key : table_.members(path)[0];
  const bool axis = part == "grid" || part == "zip";
  refuse(path, key_place,
         shown(path) + in +
             " is a group of keys, which cannot be swept as one; name keys by their whole path, as in '" +
             join_path(path, member) + (axis ? ": [values]'" : ": value'"));
}

void LayerReader::read_axis(const std::string& part, const std::string& path, Place key_place, const YamlNode& node) {
  const Key* key = table_.find(path);
  if (key == nullptr) return refuse_axis_key(part, path, key_place, node);
  const std::string name = part_path(part) + "." + path;
  if (node.type != YamlNode::Type::list || node.items.empty()) {
    const std::string found = node.type == YamlNode::Type::list ? "an empty list" : what_is(node);
    const std::string brackets = node.type == YamlNode::Type::scalar ? "[" + node.text + "]" : "[value, value]";
    return refuse(path, node.place, name + " must be a list of values, not " + found + "; write " + brackets);
  }
  Axis axis{path, {}};
  for (const YamlNode& item : node.items) {
    if (part == "zip" && item.type == YamlNode::Type::null) {
      axis.points.push_back({Value(), where_(item.place), "", Given::Hole::yes});
      continue;
    }
    std::optional<Given> given = read_given(*key, item);
    if (!given) continue;
    const bool repeated = std::any_of(axis.points.begin(), axis.points.end(),
                                      [&](const Given& point) { return point.value == given->value; });
    if (repeated && part == "grid") {
      refuse(path, item.place,
             name + " has " + shown(given->written) + " twice (two runs would be the same); remove one");
    } else {
      axis.points.push_back(std::move(*given));
    }
  }
  std::vector<Axis>& axes = part == "grid" ? layer.axes : layer.zip;
  const auto earlier = std::find_if(axes.begin(), axes.end(), [&](const Axis& other) { return other.path == path; });
  if (earlier != axes.end()) {
    *earlier = std::move(axis);
  } else {
    axes.push_back(std::move(axis));
  }
}

}  // namespace tributary::detail
