// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/sweep_grid.h"

#include <algorithm>
#include <iterator>
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

/// The shortest tail of `path` that no other axis ends with.
std::string axis_name(const std::string& path, const std::vector<SweepAxis>& axes) {
  for (std::size_t segments = 1;; ++segments) {
    const std::string tail = path_tail(path, segments);
    const bool shared = std::any_of(axes.begin(), axes.end(), [&](const SweepAxis& other) {
      return other.axis.path != path && path_tail(other.axis.path, segments) == tail;
    });
    if (!shared || tail == path) return tail;
  }
}

/// A label for each point of an axis, all different.
std::vector<std::string> point_names(const Axis& axis) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Given& point : axis.points) {
    const std::string plain = folder_safe(point.written);
    std::string name = plain;
    for (int copy = 2; !taken.insert(name).second; ++copy) name = plain + "-" + std::to_string(copy);
    names.push_back(name);
  }
  return names;
}

}  // namespace

std::vector<SweepAxis> combine_axes(const KeyTable& table, const Layer& file, const Layer& command_line) {
  std::vector<SweepAxis> axes;
  const auto find_axis = [](const std::vector<Axis>& among, const std::string& path) {
    return std::find_if(among.begin(), among.end(), [&](const Axis& axis) { return axis.path == path; });
  };
  for (const Axis& axis : file.axes) {
    const auto replacement = find_axis(command_line.axes, axis.path);
    if (replacement != command_line.axes.end()) {
      axes.push_back({*replacement, Source::command_line});
    } else if (!command_line.replaces(table, axis.path)) {
      axes.push_back({axis, Source::file});
    }
  }
  for (const Axis& axis : command_line.axes) {
    if (find_axis(file.axes, axis.path) == file.axes.end()) axes.push_back({axis, Source::command_line});
  }
  return axes;
}

std::size_t count_runs(const std::vector<SweepAxis>& axes, std::size_t most) {
  std::size_t runs = 1;
  for (const SweepAxis& swept : axes) {
    runs *= swept.axis.points.size();
    if (runs > most) return most + 1;
  }
  return runs;
}

std::vector<std::size_t> point_of_run(const std::vector<SweepAxis>& axes, std::size_t run) {
  std::vector<std::size_t> point(axes.size());
  for (std::size_t i = axes.size(); i-- > 0;) {
    point[i] = run % axes[i].axis.points.size();
    run /= axes[i].axis.points.size();
  }
  return point;
}

std::vector<std::string> label_runs(const std::vector<SweepAxis>& axes) {
  std::vector<SweepAxis> varying;
  std::copy_if(axes.begin(), axes.end(), std::back_inserter(varying),
               [](const SweepAxis& swept) { return swept.axis.points.size() > 1; });
  std::vector<std::string> labels(1);
  for (const SweepAxis& swept : varying) {
    const std::string name = axis_name(swept.axis.path, varying);
    std::vector<std::string> longer;
    for (const std::string& label : labels) {
      for (const std::string& point : point_names(swept.axis)) {
        longer.push_back(label + (label.empty() ? "" : ",") + folder_safe(name) + "=" + point);
      }
    }
    labels = std::move(longer);
  }
  for (std::size_t run = 0; run < labels.size(); ++run) {
    if (labels[run].size() > kLongestLabel) {
      labels[run] = "run=" + std::to_string(run + 1) + "," + labels[run].substr(0, kLongestLabel - 20);
    }
  }
  return labels;
}

}  // namespace tributary::detail
