// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "common/errors.h"
#include "common/text.h"
#include "runner/results/detail/schema_rows.h"

namespace tributary {
namespace {

ResultsSchema make_schema() {
  ResultsSchema schema;
  for (const auto& rows :
       {detail::attribution_rows(), detail::node_rows(), detail::top_rows(), detail::circuit_rows(),
        detail::agreement_rows(), detail::steering_rows(), detail::pair_rows(), detail::provenance_rows()}) {
    schema.datasets.insert(schema.datasets.end(), rows.begin(), rows.end());
  }
  schema.attributes = detail::attribute_rows();
  schema.axes = detail::axis_rows();
  for (AttributeRow& row : detail::node_attribute_rows()) schema.attributes.push_back(std::move(row));
  for (AxisRow& row : detail::node_axis_rows()) schema.axes.push_back(std::move(row));
  return schema;
}

std::string group_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string in_brackets(const std::vector<std::string>& axes) { return "[" + join(axes) + "]"; }

/// An attribute of a group or of a dataset; null: there is none.
const Attribute* find_attribute(const ResultsFile& file, const std::string& owner, const std::string& name) {
  const std::map<std::string, Attribute>* attributes = nullptr;
  if (const Dataset* dataset = file.find(owner); dataset != nullptr) attributes = &dataset->attributes;
  if (const auto group = file.group_attributes.find(owner); group != file.group_attributes.end()) {
    attributes = &group->second;
  }
  if (attributes == nullptr) return nullptr;
  const auto found = attributes->find(name);
  return found == attributes->end() ? nullptr : &found->second;
}

/// Of the table that a file was written by; files from before it was noted are of the first.
std::int64_t version_of(const ResultsFile& file) {
  const Attribute* version = find_attribute(file, "/", "schema");
  const auto* number = version == nullptr ? nullptr : std::get_if<std::int64_t>(version);
  return number == nullptr ? 1 : *number;
}

const AttributeRow* attribute_row(const std::string& owner, const std::string& name) {
  const std::vector<AttributeRow>& rows = results_schema().attributes;
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [&](const AttributeRow& row) { return row.owner == owner && row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

/// Datasets and attributes that are there, but not as their rows say.
std::vector<std::string> unfit_parts(const ResultsFile& file) {
  std::vector<std::string> found;
  for (const Dataset& dataset : file.datasets) {
    const DatasetRow* row = schema_row(dataset.path);
    if (row == nullptr) continue;
    const auto type = static_cast<ValueType>(dataset.values.index());
    if (type != row->type) {
      found.push_back(fmt::format("{} holds {} instead of {}", dataset.path, name_of(type), name_of(row->type)));
    }
    const bool other = !row->other_axes.empty() && dataset.axes == row->other_axes;
    if (dataset.axes != row->axes && !other) {
      found.push_back(fmt::format("{} has the axes {} instead of {}", dataset.path, in_brackets(dataset.axes),
                                  in_brackets(row->axes)));
    }
  }
  for (const AttributeRow& row : results_schema().attributes) {
    const Attribute* attribute = find_attribute(file, row.owner, row.name);
    if (attribute == nullptr) continue;
    const auto type = static_cast<AttributeType>(attribute->index());
    if (type != row.type) {
      found.push_back(fmt::format("the attribute {} of {} is {} instead of {}", row.name, row.owner, name_of(type),
                                  name_of(row.type)));
    }
  }
  return found;
}

/// Rows that the file owes: those of every file, and those that come together with something that it holds.
std::vector<std::string> missing_parts(const ResultsFile& file) {
  const ResultsSchema& schema = results_schema();
  std::set<std::string> holds = {always};
  for (const DatasetRow& row : schema.datasets) {
    if (file.find(row.path) != nullptr) holds.insert(row.when);
  }
  std::vector<std::string> found;
  for (const DatasetRow& row : schema.datasets) {
    if (row.need == Need::demanded && holds.contains(row.when) && file.find(row.path) == nullptr) {
      found.push_back(row.path + " is missing");
    }
  }
  for (const AttributeRow& row : schema.attributes) {
    if (row.need == Need::demanded && holds.contains(row.when) &&
        find_attribute(file, row.owner, row.name) == nullptr) {
      found.push_back("the attribute " + row.name + " of " + row.owner + " is missing");
    }
  }
  return found;
}

/// Rows of /pairs that have a split; nothing where that cannot be counted.
std::optional<std::int64_t> pairs_with(const ResultsFile& file, const std::string& split) {
  const Dataset* dataset = file.find("/pairs/split");
  const auto* splits = dataset == nullptr ? nullptr : std::get_if<std::vector<std::string>>(&dataset->values);
  if (splits == nullptr) return std::nullopt;
  return std::count(splits->begin(), splits->end(), split);
}

/// Axes that are not as long as others say. Within a group the file format itself keeps axes of one name equally long.
std::vector<std::string> unequal_axes(const ResultsFile& file) {
  std::map<std::string, std::int64_t> lengths;  // "/attribution/pair" → length
  for (const Dataset& dataset : file.datasets) {
    if (schema_row(dataset.path) == nullptr) continue;
    for (std::size_t i = 0; i < dataset.axes.size(); ++i) {
      lengths.emplace(group_of(dataset.path) + "/" + dataset.axes[i], dataset.shape.at(i));
    }
  }
  std::vector<std::string> found;
  const auto expect = [&](const std::string& axis, std::int64_t length, std::int64_t wanted, const std::string& what) {
    if (length == wanted) return;
    found.push_back(fmt::format("the axis {} has length {}, but {} {}", axis, length, what, wanted));
  };
  for (const AxisRow& row : results_schema().axes) {
    const std::string axis = row.group + "/" + row.name;
    const auto length = lengths.find(axis);
    if (length == lengths.end()) continue;
    if (row.length != 0) expect(axis, length->second, row.length, "should have");
    if (const auto other = lengths.find(row.as_in + "/" + row.name); !row.as_in.empty() && other != lengths.end()) {
      expect(axis, length->second, other->second, other->first + " has");
    }
    if (const auto pairs = pairs_with(file, row.split); !row.split.empty() && pairs) {
      expect(axis, length->second, *pairs, "the pairs of the split " + row.split + " are");
    }
  }
  return found;
}

}  // namespace

const ResultsSchema& results_schema() {
  static const ResultsSchema schema = make_schema();
  return schema;
}

const DatasetRow* schema_row(const std::string& path) {
  const std::vector<DatasetRow>& rows = results_schema().datasets;
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const DatasetRow& row) { return row.path == path; });
  return found == rows.end() ? nullptr : &*found;
}

std::vector<std::string> differences_from_schema(const ResultsFile& file) {
  std::vector<std::string> all = missing_parts(file);
  for (const std::vector<std::string>& more : {unfit_parts(file), unequal_axes(file)}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

std::vector<std::string> parts_without_row(const ResultsFile& file) {
  std::vector<std::string> found;
  const auto look_up = [&](const std::string& owner, const std::map<std::string, Attribute>& attributes) {
    for (const auto& [name, value] : attributes) {
      if (attribute_row(owner, name) != nullptr) continue;
      found.emplace_back("the attribute ").append(name).append(" of ").append(owner);
    }
  };
  for (const Dataset& dataset : file.datasets) {
    if (schema_row(dataset.path) == nullptr) found.push_back(dataset.path);
    look_up(dataset.path, dataset.attributes);
  }
  for (const auto& [group, attributes] : file.group_attributes) {
    if (group != "/provenance") look_up(group, attributes);
  }
  return found;
}

void require_schema(const std::filesystem::path& where, const ResultsFile& file) {
  constexpr std::size_t named = 3;
  if (const std::int64_t theirs = version_of(file); theirs > results_schema_version) {
    throw UserError(where.string(), fmt::format("these results are of schema {}, and this program reads up to {}; take "
                                                "the program that wrote them, or a later one",
                                                theirs, results_schema_version));
  }
  std::vector<std::string> differences = differences_from_schema(file);
  if (differences.empty()) return;
  const std::size_t others = differences.size() - std::min(named, differences.size());
  differences.resize(differences.size() - others);
  if (others > 0) differences.push_back(fmt::format("and {} more", others));
  throw UserError(where.string(),
                  "these results are not as this program writes them (another version wrote them, or they were "
                  "changed): " +
                      join(differences, "; ") + "; `run --fresh` computes them again");
}

std::string name_of(ValueType type) {
  constexpr std::array<const char*, 4> names = {"float32", "float64", "int64", "text"};
  return names.at(static_cast<std::size_t>(type));
}

std::string name_of(AttributeType type) {
  constexpr std::array<const char*, 6> names = {"text", "integer", "number", "integers", "numbers", "texts"};
  return names.at(static_cast<std::size_t>(type));
}

}  // namespace tributary
