// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/sweep_reader.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "common/text.h"
#include "io/detail/config/yaml_messages.h"
#include "io/detail/config/yaml_text.h"

namespace tributary::detail::config {

/// A key of the sweep: a mapping of keys to lists of values, which are axes, or a list of mappings, which are points.
struct SweepReader::Part {
  const char* name;
  std::vector<Axis> SweepLayer::*axes;          //!< null: it holds points
  std::vector<SweepPoint> SweepLayer::*points;  //!< null: it holds axes

  /// "sweep.grid"
  [[nodiscard]] std::string path() const { return join_path(std::string(kSweep), name); }
  /// The axes of zip go together, so a value may be there twice, and null leaves the key out.
  [[nodiscard]] bool is_zip() const { return axes == &SweepLayer::zip; }
};

const SweepReader::Part SweepReader::kParts[] = {
    {.name = "grid", .axes = &SweepLayer::grid, .points = nullptr},
    {.name = "zip", .axes = &SweepLayer::zip, .points = nullptr},
    {.name = "exclude", .axes = nullptr, .points = &SweepLayer::exclude},
    {.name = "include", .axes = nullptr, .points = &SweepLayer::include},
};

const SweepReader::Part* SweepReader::find_part(const std::string& name) {
  const Part* found =
      std::find_if(std::begin(kParts), std::end(kParts), [&name](const Part& part) { return part.name == name; });
  return found == std::end(kParts) ? nullptr : found;
}

void SweepReader::read(const YamlNode& node) {
  if (!is_mapping(node)) {
    return source_.refuse(std::string(kSweep), node.place,
                          "sweep must be a mapping, not " + what_is(node) + missing_space_hint(node) +
                              "; write sweep: {grid: {key.path: [values]}}, or remove it");
  }
  for (const YamlEntry& entry : node.entries) {
    const Part* part = find_part(entry.key);
    if (part == nullptr) {
      refuse_part(entry.key, entry.place);
    } else if (source_.is_first(part->path(), entry)) {
      read_part(*part, entry.value);
    }
  }
}

void SweepReader::read_override(const std::string& below, const YamlNode& value) {
  const std::size_t dot = below.find('.');
  const Part* part = find_part(below.substr(0, dot));
  if (part != nullptr && dot == std::string::npos) {
    read_part(*part, value);
  } else if (part != nullptr && part->axes != nullptr) {
    read_axis(*part, below.substr(dot + 1), value.place, value);
  } else {
    refuse_part(below, value.place);
  }
}

void SweepReader::refuse_part(const std::string& name, Place place) {
  std::vector<std::string> known;
  for (const Part& part : kParts) known.emplace_back(part.name);
  source_.refuse(std::string(kSweep), place,
                 "unknown key " + shown(name) + " in sweep; known in sweep: " + join(known));
}

void SweepReader::read_part(const Part& part, const YamlNode& node) {
  part.axes != nullptr ? read_axes(part, node) : read_points(part, node);
}

void SweepReader::read_axes(const Part& part, const YamlNode& node) {
  if (!is_mapping(node)) {
    return source_.refuse(part.path(), node.place,
                          part.path() + " must be a mapping, not " + what_is(node) + missing_space_hint(node) +
                              "; write " + part.name + ": {key.path: [values]}, or remove " +
                              (part.is_zip() ? "it" : "sweep"));
  }
  for (const YamlEntry& entry : node.entries) {
    if (source_.is_first(part.path() + "." + entry.key, entry)) read_axis(part, entry.key, entry.place, entry.value);
  }
  if (part.is_zip()) sweep_.zip_place = node.place;
}

void SweepReader::read_axis(const Part& part, const std::string& path, Place key_place, const YamlNode& node) {
  const Key* key = table_.find(path);
  if (key == nullptr) return refuse_axis_key(part, path, key_place, node);
  const std::string name = part.path() + "." + path;
  if (node.type != YamlNode::Type::list || node.items.empty()) {
    const std::string found = node.type == YamlNode::Type::list ? "an empty list" : what_is(node);
    const std::string brackets = node.type == YamlNode::Type::scalar ? "[" + node.text + "]" : "[value, value]";
    return source_.refuse(path, node.place, name + " must be a list of values, not " + found + "; write " + brackets);
  }
  Axis axis{path, key_place, {}};
  std::set<Value> met;
  for (const YamlNode& item : node.items) {
    if (part.is_zip() && item.type == YamlNode::Type::null) {
      axis.points.push_back({Value(), source_.where(item.place), "", Given::Hole::yes});
      continue;
    }
    std::optional<Given> given = source_.read_given(*key, item);
    if (!given) continue;
    if (!met.insert(given->value).second && !part.is_zip()) {
      source_.refuse(path, item.place,
                     name + " has " + shown(given->written) + " twice (two runs would be the same); remove one");
    } else {
      axis.points.push_back(std::move(*given));
    }
  }
  std::vector<Axis>& axes = sweep_.*part.axes;
  const auto earlier = std::find_if(axes.begin(), axes.end(), [&](const Axis& other) { return other.path == path; });
  if (earlier != axes.end()) {
    *earlier = std::move(axis);
  } else {
    axes.push_back(std::move(axis));
  }
}

void SweepReader::require_equal_lengths() {
  for (const Axis& axis : sweep_.zip) {
    const Axis& first = sweep_.zip.front();
    if (axis.points.size() == first.points.size() || source_.layer.refused.contains(axis.path)) continue;
    return source_.refuse(join_path(std::string(kSweep), "zip"), sweep_.zip_place,
                          "sweep.zip: " + axis.path + " has " + std::to_string(axis.points.size()) +
                              (axis.points.size() == 1 ? " value and " : " values and ") + first.path + " has " +
                              std::to_string(first.points.size()) +
                              " (they go together, value by value); make the lists equally long, or move one to grid");
  }
}

void SweepReader::read_points(const Part& part, const YamlNode& node) {
  if (node.type != YamlNode::Type::list || node.items.empty()) {
    const std::string found = node.type == YamlNode::Type::list ? "an empty list" : what_is(node);
    return source_.refuse(part.path(), node.place,
                          part.path() + " must be a list of mappings, not " + found + "; write " + part.name +
                              ": [{key.path: value}], or remove it");
  }
  std::vector<SweepPoint>& points = sweep_.*part.points;
  points.clear();  // of two overrides the later one counts
  for (const YamlNode& item : node.items) points.push_back(read_point(part, item));
}

SweepPoint SweepReader::read_point(const Part& part, const YamlNode& node) {
  SweepPoint point;
  if (!is_mapping(node) || node.entries.empty()) {
    source_.refuse(part.path(), node.place,
                   "an entry of " + part.path() + " must be a mapping of keys to values, not " + what_is(node) +
                       "; write {key.path: value}");
    return point;
  }
  for (const YamlEntry& entry : node.entries) {
    const Key* key = table_.find(entry.key);
    if (key == nullptr) {
      refuse_axis_key(part, entry.key, entry.place, entry.value);
    } else if (std::optional<Given> given = source_.read_given(*key, entry.value)) {
      if (point.values.emplace(entry.key, std::move(*given)).second) point.order.push_back(entry.key);
    }
  }
  return point;
}

void SweepReader::refuse_axis_key(const Part& part, const std::string& path, Place key_place, const YamlNode& node) {
  const std::string in = " in " + part.path();
  if (!table_.is_group(path)) return source_.refuse(path, key_place, table_.unknown_path(path, in));
  const std::string member = is_mapping(node) && !node.entries.empty() ? node.entries[0].key : table_.members(path)[0];
  source_.refuse(path, key_place,
                 shown(path) + in +
                     " is a group of keys, which cannot be swept as one; name keys by their whole path, as in '" +
                     join_path(path, member) + (part.axes != nullptr ? ": [values]'" : ": value'"));
}

}  // namespace tributary::detail::config
