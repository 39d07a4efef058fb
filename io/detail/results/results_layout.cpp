// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/results/results_layout.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <stdexcept>
#include <variant>

#include "common/text.h"
#include "io/detail/results/hdf5_attributes.h"

namespace tributary::detail {
namespace {

constexpr std::array<std::string_view, 7> kReservedAttributes{
    "long_name", "units", "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS"};

// HDF5 ends texts at a NUL, so one inside would silently cut the text there.
bool is_text(std::string_view text) {
  return text.find('\0') == std::string_view::npos && !first_invalid_utf8(text).has_value();
}

bool is_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos && is_text(name);
}

bool is_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (!is_name(path.substr(start, end - start))) return false;
    start = end + 1;
  }
  return true;
}

struct AllText {
  bool operator()(const std::string& text) const { return is_text(text); }
  bool operator()(const std::vector<std::string>& texts) const {
    return std::all_of(texts.begin(), texts.end(), is_text);
  }
  template <class Numbers>
  bool operator()(const Numbers& /*numbers*/) const {
    return true;
  }
};

/// Why contents cannot be written, or cannot have been; thrown and caught within this file.
class Misfit : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void require(bool holds, const std::string& why) {
  if (!holds) throw Misfit(why);
}

void check_attributes(const std::string& path, const std::map<std::string, Attribute>& attributes) {
  for (const auto& [name, value] : attributes) {
    std::string place = "attribute '";
    place.append(name).append("' of ").append(path);
    require(!name.empty() && is_text(name), place + ": its name is empty, not UTF-8 or holds NUL");
    require(!is_reserved_attribute(name), place + ": the file format keeps this name for itself");
    require(std::visit(AllText{}, value), place + " is not UTF-8 or holds NUL");
    require(hdf5::bytes_in_header(value) <= hdf5::kAttributeBytes, place + " is too long a list; make it a dataset");
  }
}

void check_dataset(const Dataset& dataset) {
  const std::string& path = dataset.path;
  require(is_path(path) && path.size() > 1, "'" + path + "' is no path of a dataset");
  require(dataset.axes.size() == dataset.shape.size(), path + " needs one axis name a dimension");
  require(dataset.axes.size() <= H5S_MAX_RANK, path + " has more dimensions than HDF5 takes");
  require(std::all_of(dataset.axes.begin(), dataset.axes.end(), is_name), path + ": an axis has no fit name");
  const auto held =
      std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); }, dataset.values);
  require(element_count(dataset.shape) == held, path + " holds another number of values than its shape says");
  require(!dataset.long_name.empty(), path + " needs a long_name");
  require(is_text(dataset.long_name) && is_text(dataset.units),
          path + ": long_name or units is not UTF-8 or holds NUL");
  require(std::visit(AllText{}, dataset.values), path + ": a text in it is not UTF-8 or holds NUL");
  check_attributes(path, dataset.attributes);
}

// One length a scale path, from every dataset that has such an axis; a dataset at that path must be a fit scale.
void check_scales(const ResultsFile& contents, const std::set<std::string>& groups) {
  std::map<std::string, std::int64_t> lengths;
  for (const Dataset& dataset : contents.datasets) {
    for (std::size_t d = 0; d < dataset.axes.size(); ++d) {
      const std::string path = scale_path(dataset, dataset.axes[d]);
      const auto [known, added] = lengths.emplace(path, dataset.shape[d]);
      require(added || known->second == dataset.shape[d], "axis " + path + " has length " +
                                                              std::to_string(known->second) + " and, in " +
                                                              dataset.path + ", " + std::to_string(dataset.shape[d]));
    }
  }
  for (const auto& [path, length] : lengths) {
    require(!groups.contains(path), path + " is a group and the scale of an axis");
    const Dataset* scale = contents.find(path);
    require(scale == nullptr || (is_scale(*scale) && scale->shape[0] == length),
            path + " is the scale of an axis, so it must be 1-D along that very axis and as long");
  }
}

void check_all(const ResultsFile& contents) {
  for (const auto& [group, attributes] : contents.group_attributes) {
    require(group == "/" || is_path(group), "'" + group + "' is no path of a group");
    check_attributes(group, attributes);
  }
  for (const Dataset& dataset : contents.datasets) check_dataset(dataset);
  const std::set<std::string> groups = groups_of(contents);
  std::set<std::string> paths;
  for (const Dataset& dataset : contents.datasets) {
    require(paths.insert(dataset.path).second, dataset.path + " is there twice");
    require(!groups.contains(dataset.path), dataset.path + " is a dataset and a group");
  }
  check_scales(contents, groups);
}

}  // namespace

std::string group_of(std::string_view path) {
  return std::string(path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)));
}

std::string name_of(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

std::string scale_path(const Dataset& dataset, const std::string& axis) {
  const std::string group = group_of(dataset.path);
  return group == "/" ? "/" + axis : group + "/" + axis;
}

bool is_scale(const Dataset& dataset) { return dataset.axes.size() == 1 && dataset.axes[0] == name_of(dataset.path); }

Dataset automatic_scale(const std::string& path, std::int64_t length) {
  const std::string axis = name_of(path);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(length));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  return {path, {axis}, {length}, std::move(indices), "index along " + axis + ", counted from 0", "1", {}};
}

bool is_automatic_scale(const Dataset& dataset) {
  if (!is_scale(dataset)) return false;
  const Dataset automatic = automatic_scale(dataset.path, dataset.shape[0]);
  return dataset.values == automatic.values && dataset.long_name == automatic.long_name &&
         dataset.units == automatic.units && dataset.attributes.empty();
}

std::vector<Dataset> missing_scales(const ResultsFile& contents) {
  std::vector<Dataset> scales;
  std::set<std::string> present;
  for (const Dataset& dataset : contents.datasets) present.insert(dataset.path);
  for (const Dataset& dataset : contents.datasets) {
    for (std::size_t d = 0; d < dataset.axes.size(); ++d) {
      const std::string path = scale_path(dataset, dataset.axes[d]);
      if (present.insert(path).second) scales.push_back(automatic_scale(path, dataset.shape[d]));
    }
  }
  return scales;
}

std::set<std::string> groups_of(const ResultsFile& contents) {
  std::set<std::string> groups;
  const auto add = [&](std::string group) {
    for (; group != "/"; group = group_of(group)) groups.insert(group);
  };
  for (const Dataset& dataset : contents.datasets) add(group_of(dataset.path));
  for (const auto& [group, attributes] : contents.group_attributes) add(group);
  return groups;
}

std::optional<std::int64_t> element_count(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t length : shape) {
    if (length < 0 || __builtin_mul_overflow(count, length, &count)) return std::nullopt;
  }
  return count;
}

bool is_reserved_attribute(std::string_view name) {
  return std::find(kReservedAttributes.begin(), kReservedAttributes.end(), name) != kReservedAttributes.end();
}

std::string misfit_of(const ResultsFile& contents) {
  try {
    check_all(contents);
    return "";
  } catch (const Misfit& misfit) {
    return misfit.what();
  }
}

}  // namespace tributary::detail
