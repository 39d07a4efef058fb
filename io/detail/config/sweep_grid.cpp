// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/sweep_grid.h"

#include <algorithm>
#include <set>
#include <utility>

namespace tributary::detail::config {
namespace {

const Axis* find_axis(const std::vector<Axis>& among, const std::string& path) {
  const auto found = std::find_if(among.begin(), among.end(), [&](const Axis& axis) { return axis.path == path; });
  return found == among.end() ? nullptr : &*found;
}

/// Where a run keeps what the sweep of `source` sets.
GivenValues& values_of(SweepRun& run, Source source) { return source == Source::file ? run.file : run.command_line; }

bool same_values(const SweepPoint& a, const SweepPoint& b) {
  return std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(),
                    [](const auto& one, const auto& other) {
                      return one.first == other.first && one.second.value == other.second.value;
                    });
}

}  // namespace

Sweep::Sweep(const KeyTable& table, const SettingsLayer& file, const SettingsLayer& command_line) {
  add_grid(table, file, command_line);
  add_zip(table, file, command_line);
  exclude_ = command_line.sweep.exclude.empty() ? file.sweep.exclude : command_line.sweep.exclude;
  include_source_ = command_line.sweep.include.empty() ? Source::file : Source::command_line;
  include_ = (include_source_ == Source::file ? file : command_line).sweep.include;
  if (include_source_ == Source::command_line) return;
  // As of the axes: a key that the command line sets is not swept, and names no run.
  const auto replaced = [&](const std::string& path) { return command_line.replaces(table, path); };
  std::vector<SweepPoint> left;
  for (SweepPoint& point : include_) {
    const bool changes = std::erase_if(point.order, replaced) > 0;
    std::erase_if(point.values, [&](const auto& value) { return replaced(value.first); });
    const auto same = [&point](const SweepPoint& other) { return same_values(point, other); };
    if (!changes || std::none_of(left.begin(), left.end(), same)) left.push_back(std::move(point));
  }
  include_ = std::move(left);
}

void Sweep::add_grid(const KeyTable& table, const SettingsLayer& file, const SettingsLayer& command_line) {
  for (const Axis& axis : file.sweep.grid) {
    if (const Axis* replacement = find_axis(command_line.sweep.grid, axis.path)) {
      axes_.push_back({{*replacement}, Source::command_line});
    } else if (!command_line.replaces(table, axis.path)) {
      axes_.push_back({{axis}, Source::file});
    }
  }
  for (const Axis& axis : command_line.sweep.grid) {
    if (find_axis(file.sweep.grid, axis.path) == nullptr) axes_.push_back({{axis}, Source::command_line});
  }
}

void Sweep::add_zip(const KeyTable& table, const SettingsLayer& file, const SettingsLayer& command_line) {
  if (!command_line.sweep.zip.empty()) {
    axes_.push_back({command_line.sweep.zip, Source::command_line});
    return;
  }
  SweepAxis zip;
  for (const Axis& axis : file.sweep.zip) {
    if (!command_line.replaces(table, axis.path)) zip.together.push_back(axis);
  }
  if (!zip.together.empty()) axes_.push_back(std::move(zip));
}

std::size_t Sweep::count(std::size_t most) const {
  std::size_t runs = 1;
  for (const SweepAxis& axis : axes_) {
    runs *= axis.points();
    if (runs > most) return most + 1;
  }
  return std::min(runs + include_.size(), most + 1);
}

/// Runs of the axes: one when there are none, unless the sweep is a list of included runs.
std::size_t Sweep::product() const {
  if (axes_.empty()) return include_.empty() ? 1 : 0;
  std::size_t runs = 1;
  for (const SweepAxis& axis : axes_) runs *= axis.points();
  return runs;
}

/// Which point of every axis the run of this number has.
std::vector<std::size_t> Sweep::points_of(std::size_t number) const {
  std::vector<std::size_t> points(axes_.size());
  for (std::size_t i = axes_.size(); i-- > 0;) {
    points[i] = number % axes_[i].points();
    number /= axes_[i].points();
  }
  return points;
}

SweepRun Sweep::run_at(const std::vector<std::size_t>& points) const {
  SweepRun run;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    for (const Axis& axis : axes_[i].together) {
      const Given& given = axis.points[points[i]];
      if (given.hole == Given::Hole::no) values_of(run, axes_[i].source)[axis.path] = given;
    }
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

std::vector<SweepRun> Sweep::runs(SettingsProblems& problems) const {
  const SweepNames names(axes_, include_);
  std::vector<SweepRun> runs;
  for (std::size_t number = 0; number < product(); ++number) {
    const std::vector<std::size_t> points = points_of(number);
    SweepRun run = run_at(points);
    if (excluded(run)) continue;
    run.label = names.of(points);
    runs.push_back(std::move(run));
  }
  for (const SweepPoint& point : include_) {
    SweepRun run;
    values_of(run, include_source_) = point.values;
    run.label = names.of(point);
    if (run.label.empty() && product() + include_.size() > 1) run.label = "default";
    runs.push_back(std::move(run));
  }
  if (runs.empty()) {
    problems.add(Source::file, {}, "sweep.exclude leaves no run; remove an entry, or add to the grid");
  }
  std::set<std::string> labels;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!labels.insert(runs[i].label).second) {
      problems.add(Source::file, {},
                   "the sweep has two runs of one name, '" + runs[i].label +
                       "' (their results would lie in one folder); remove one");
    }
    runs[i].label = fitting(runs[i].label);
  }
  return runs;
}

}  // namespace tributary::detail::config
