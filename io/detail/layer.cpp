// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/layer.h"

#include <algorithm>
#include <utility>

#include "common/text.h"
#include "io/detail/file_path.h"
#include "io/detail/value_reader.h"
#include "io/detail/yaml_text.h"

namespace tributary::detail {
namespace {

const std::string kGrid = "sweep.grid";

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

bool Layer::sets(const std::string& path) const {
  return values.contains(path) ||
         std::any_of(axes.begin(), axes.end(), [&](const Axis& axis) { return axis.path == path; });
}

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
  } else if (path == kGrid) {
    read_grid(value);
  } else if (path.starts_with(kGrid + ".")) {
    read_axis(path.substr(kGrid.size() + 1), value.place, value);
  } else if (path.starts_with(sweep + ".")) {
    refuse_sweep_key(path.substr(sweep.size() + 1), value.place);
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
  if (key.kind == Kind::path) given.value = absolute_path(folder_, std::get<std::string>(*value));
  return given;
}

void LayerReader::refuse_sweep_key(const std::string& key, Place key_place) {
  refuse(std::string(kSweep), key_place, "unknown key " + shown(key) + " in sweep; known in sweep: grid");
}

void LayerReader::read_sweep(const YamlNode& node) {
  if (!is_mapping(node)) {
    return refuse(std::string(kSweep), node.place,
                  "sweep must be a mapping, not " + what_is(node) + missing_space_hint(node) +
                      "; write sweep: {grid: {key.path: [values]}}, or remove it");
  }
  for (const YamlEntry& entry : node.entries) {
    if (entry.key != "grid") {
      refuse_sweep_key(entry.key, entry.place);
    } else if (is_first(kGrid, entry)) {
      read_grid(entry.value);
    }
  }
}

void LayerReader::read_grid(const YamlNode& node) {
  if (!is_mapping(node)) {
    return refuse(kGrid, node.place,
                  "sweep.grid must be a mapping, not " + what_is(node) + missing_space_hint(node) +
                      "; write grid: {key.path: [values]}, or remove sweep");
  }
  for (const YamlEntry& entry : node.entries) {
    if (is_first(kGrid + "." + entry.key, entry)) read_axis(entry.key, entry.place, entry.value);
  }
}

void LayerReader::refuse_axis_key(const std::string& path, Place key_place, const YamlNode& node) {
  if (!table_.is_group(path)) return refuse(path, key_place, table_.unknown_path(path, " in sweep.grid"));
  const std::string member = is_mapping(node) && !node.entries.empty() ? node.entries[0].key : table_.members(path)[0];
  refuse(path, key_place,
         shown(path) +
             " in sweep.grid is a group of keys, which cannot be swept as one; name keys by their whole path, "
             "as in '" +
             join_path(path, member) + ": [values]'");
}

void LayerReader::read_axis(const std::string& path, Place key_place, const YamlNode& node) {
  const Key* key = table_.find(path);
  if (key == nullptr) return refuse_axis_key(path, key_place, node);
  if (node.type != YamlNode::Type::list || node.items.empty()) {
    const std::string found = node.type == YamlNode::Type::list ? "an empty list" : what_is(node);
    const std::string brackets = node.type == YamlNode::Type::scalar ? "[" + node.text + "]" : "[value, value]";
    return refuse(path, node.place,
                  "sweep.grid." + path + " must be a list of values, not " + found + "; write " + brackets);
  }
  Axis axis{path, {}};
  for (const YamlNode& item : node.items) {
    std::optional<Given> given = read_given(*key, item);
    if (!given) continue;
    const bool repeated = std::any_of(axis.points.begin(), axis.points.end(),
                                      [&](const Given& point) { return point.value == given->value; });
    if (repeated) {
      refuse(
          path, item.place,
          "sweep.grid." + path + " has " + shown(given->written) + " twice (two runs would be the same); remove one");
    } else {
      axis.points.push_back(std::move(*given));
    }
  }
  const auto earlier =
      std::find_if(layer.axes.begin(), layer.axes.end(), [&](const Axis& other) { return other.path == path; });
  if (earlier != layer.axes.end()) {
    *earlier = std::move(axis);
  } else {
    layer.axes.push_back(std::move(axis));
  }
}

}  // namespace tributary::detail
