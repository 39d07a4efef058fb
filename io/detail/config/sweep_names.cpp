// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/sweep_names.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/hash.h"

namespace tributary::detail::config {
namespace {

// File systems end at 255 bytes; whoever makes the folder may add a number and a hash.
constexpr std::size_t kLongestName = 160;

std::string folder_safe(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return !letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '+';
      },
      '-');
  return text;
}

/// The last `segments` parts of a path, or all of it.
std::string path_tail(const std::string& path, std::size_t segments) {
  std::size_t start = path.size() + 1;
  for (; segments > 0 && start > 0; --segments) {
    const std::size_t dot = start < 2 ? std::string::npos : path.rfind('.', start - 2);
    start = dot == std::string::npos ? 0 : dot + 1;
  }
  return path.substr(start);
}

/// The shortest tail of `path` that none of the other paths ends with.
std::string short_name(const std::string& path, const std::set<std::string>& paths) {
  for (std::size_t segments = 1;; ++segments) {
    std::string tail = path_tail(path, segments);
    const bool shared = std::any_of(paths.begin(), paths.end(), [&](const std::string& other) {
      return other != path && path_tail(other, segments) == tail;
    });
    if (!shared || tail == path) return tail;
  }
}

/// The name of every point of an axis: what its value looks like as a folder name, with a number where another value
/// looks like that, too.
std::vector<std::string> point_names(const Axis& axis) {
  std::vector<std::string> names;
  std::map<std::pair<std::string, Value>, std::string> name_of;
  std::set<std::string> taken;
  std::map<std::string, int> numbers;  // given so far to each look, from 2
  for (const Given& point : axis.points) {
    const std::string look = folder_safe(point.written);
    const auto [entry, is_new] = name_of.try_emplace({look, point.value}, look);
    if (is_new) {
      int& number = numbers.try_emplace(look, 1).first->second;
      while (!taken.insert(entry->second).second) entry->second = look + "-" + std::to_string(++number);
    }
    names.push_back(entry->second);
  }
  return names;
}

void append(std::string& name, const std::string& key, const std::string& value) {
  name += (name.empty() ? "" : ",") + folder_safe(key) + "=" + value;
}

}  // namespace

SweepNames::SweepNames(const std::vector<SweepAxis>& axes, const std::vector<SweepPoint>& include) : axes_(axes) {
  std::set<std::string> paths;
  for (const SweepAxis& swept : axes) {
    if (!swept.is_named()) continue;
    for (const Axis& axis : swept.together) paths.insert(axis.path);
  }
  for (const SweepPoint& point : include) paths.insert(point.order.begin(), point.order.end());
  for (const std::string& path : paths) short_names_.emplace(path, short_name(path, paths));

  for (const SweepAxis& swept : axes) {
    std::vector<AxisNames>& together = names_.emplace_back();
    if (!swept.is_named()) continue;
    for (const Axis& axis : swept.together) together.push_back({short_names_.at(axis.path), point_names(axis)});
  }
}

std::string SweepNames::of(const std::vector<std::size_t>& points) const {
  std::string name;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    if (!axes_[i].is_named()) continue;
    bool any = false;
    for (std::size_t j = 0; j < names_[i].size(); ++j) {
      if (axes_[i].together[j].points[points[i]].hole == Given::Hole::yes) continue;
      any = true;
      append(name, names_[i][j].key, names_[i][j].points[points[i]]);
    }
    if (!any) append(name, names_[i].front().key, "default");
  }
  return name;
}

std::string SweepNames::of(const SweepPoint& included) const {
  std::string name;
  for (const std::string& path : included.order) {
    append(name, short_names_.at(path), folder_safe(included.values.at(path).written));
  }
  return name;
}

std::string fitting(const std::string& name) {
  if (name.size() <= kLongestName) return name;
  return name.substr(0, kLongestName - 20) + ",hash=" + hash_of(name).substr(0, 8);
}

}  // namespace tributary::detail::config
