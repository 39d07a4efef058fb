// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/sweep_grid.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "common/text.h"

namespace tributary::detail {
namespace {

// File systems end at 255 bytes; whoever makes the folder may add a number and a hash.
constexpr std::size_t kLongestLabel = 160;

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

const Axis* find_axis(const std::vector<Axis>& among, const std::string& path) {
  const auto found = std::find_if(among.begin(), among.end(), [&](const Axis& axis) { return axis.path == path; });
  return found == among.end() ? nullptr : &*found;
}

/// A label for each point of an axis; in a grid all different.
std::vector<std::string> point_names(const Axis& axis) {
  std::vector<std::string> names;
  std::vector<const Value*> values;
  for (const Given& point : axis.points) {
    const std::string plain = folder_safe(point.written);
    std::string name = plain;
    for (int copy = 2;; ++copy) {  // different values may look alike as folder names
      const auto alike = std::find(names.begin(), names.end(), name);
      if (alike == names.end() || *values[static_cast<std::size_t>(alike - names.begin())] == point.value) break;
      name = plain + "-" + std::to_string(copy);
    }
    names.push_back(name);
    values.push_back(&point.value);
  }
  return names;
}

void append(std::string& label, const std::string& name, const std::string& value) {
  label += (label.empty() ? "" : ",") + folder_safe(name) + "=" + value;
}

}  // namespace

Sweep::Sweep(const KeyTable& table, const Layer& file, const Layer& command_line) {
  for (const Axis& axis : file.axes) {
    if (const Axis* replacement = find_axis(command_line.axes, axis.path)) {
      axes_.push_back({{{*replacement}}, Source::command_line});
    } else if (!command_line.replaces(table, axis.path)) {
      axes_.push_back({{{axis}}, Source::file});
    }
  }
  for (const Axis& axis : command_line.axes) {
    if (find_axis(file.axes, axis.path) == nullptr) axes_.push_back({{{axis}}, Source::command_line});
  }
  add_zip(table, file, command_line);
  exclude_ = command_line.exclude.empty() ? file.exclude : command_line.exclude;
  const bool own = !command_line.include.empty();
  include_ = own ? command_line.include : file.include;
  include_source_ = own ? Source::command_line : Source::file;
}

void Sweep::add_zip(const KeyTable& table, const Layer& file, const Layer& command_line) {
  if (!command_line.zip.empty()) {
    axes_.push_back({{command_line.zip}, Source::command_line});
    return;
  }
  SweepAxis zip;
  for (const Axis& axis : file.zip) {
    if (!command_line.replaces(table, axis.path)) zip.together.push_back(axis);
  }
  if (!zip.together.empty()) axes_.push_back({std::move(zip), Source::file});
}

std::size_t Sweep::count(std::size_t most) const {
  std::size_t runs = 1;
  for (const Swept& swept : axes_) {
    runs *= swept.axis.points();
    if (runs > most) return most + 1;
  }
  return std::min(runs + include_.size(), most + 1);
}

/// The shortest tail of `path` that no other swept key ends with.
std::string Sweep::name_of(const std::string& path) const {
  std::set<std::string> others;
  for (const Swept& swept : axes_) {
    for (const Axis& axis : swept.axis.together) {
      if (swept.axis.points() > 1) others.insert(axis.path);
    }
  }
  for (const SweepPoint& point : include_) others.insert(point.order.begin(), point.order.end());
  others.erase(path);
  for (std::size_t segments = 1;; ++segments) {
    std::string tail = path_tail(path, segments);
    const bool shared = std::any_of(others.begin(), others.end(),
                                    [&](const std::string& other) { return path_tail(other, segments) == tail; });
    if (!shared || tail == path) return tail;
  }
}

SweepRun Sweep::run_at(std::size_t number) const {
  std::vector<std::size_t> point(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    point[i] = number % axes_[i].axis.points();
    number /= axes_[i].axis.points();
  }
  SweepRun run;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const bool named = axes_[i].axis.points() > 1;
    bool any = false;
    for (const Axis& axis : axes_[i].axis.together) {
      const Given& given = axis.points[point[i]];
      if (given.hole == Given::Hole::yes) continue;
      any = true;
      (axes_[i].source == Source::file ? run.file : run.command_line)[axis.path] = given;
      if (named) append(run.label, name_of(axis.path), point_names(axis)[point[i]]);
    }
    if (named && !any) append(run.label, name_of(axes_[i].axis.together.front().path), "default");
  }
  return run;
}

bool Sweep::excluded(const SweepRun& run) const {
  return std::any_of(exclude_.begin(), exclude_.end(), [&run](const SweepPoint& point) {
    return !point.values.empty() && std::all_of(point.values.begin(), point.values.end(), [&run](const auto& wanted) {
      for (const GivenValues* values : {&run.file, &run.command_line}) {
        const auto found = values->find(wanted.first);
        if (found != values->end()) return found->second.value == wanted.second.value;
      }
      return false;
    });
  });
}

std::vector<SweepRun> Sweep::runs(const std::string& file, std::vector<Problem>& problems) const {
  std::vector<SweepRun> runs;
  const bool only_included = axes_.empty() && !include_.empty();
  for (std::size_t number = 0;
       !only_included && number < count(std::numeric_limits<std::size_t>::max() - 1) - include_.size(); ++number) {
    SweepRun run = run_at(number);
    if (!excluded(run)) runs.push_back(std::move(run));
  }
  for (const SweepPoint& point : include_) {
    SweepRun run;
    (include_source_ == Source::file ? run.file : run.command_line) = point.values;
    for (const std::string& path : point.order) {
      append(run.label, name_of(path), folder_safe(point.values.at(path).written));
    }
    runs.push_back(std::move(run));
  }
  if (runs.empty()) problems.push_back({file, "sweep.exclude leaves no run; remove an entry, or add to the grid"});
  std::map<std::string, std::size_t> names;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto [first, is_new] = names.emplace(runs[i].label, i);
    if (!is_new) {
      problems.push_back({file, "the sweep has two runs of one name, '" + runs[i].label +
                                    "' (their results would lie in one folder); remove one"});
    }
    if (runs[i].label.size() > kLongestLabel) {
      runs[i].label = "run=" + std::to_string(i + 1) + "," + runs[i].label.substr(0, kLongestLabel - 20);
    }
  }
  return runs;
}

}  // namespace tributary::detail
