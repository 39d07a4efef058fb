// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/detail/datasets.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/errors.h"
#include "runner/results/schema.h"

namespace tributary::detail {
namespace {

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

const DatasetRow& row_of(const std::string& path) {
  const DatasetRow* row = schema_row(path);
  TRIBUTARY_EXPECT(row != nullptr, path + " has no row in the schema of results");
  return *row;
}

const std::vector<std::string>& axes_of(const DatasetRow& row, Axes axes) {
  return axes == Axes::usual ? row.axes : row.other_axes;
}

std::int64_t longest(const Rows& rows) {
  std::size_t length = 0;
  for (const std::vector<double>& row : rows) length = std::max(length, row.size());
  return static_cast<std::int64_t>(length);
}

}  // namespace

std::string group_of(NodeKind kind) { return kind == NodeKind::neurons ? "/attribution" : "/nodes/" + name_of(kind); }

std::string group_of(NodeKind kind, const std::string& part) {
  return kind == NodeKind::neurons ? "/" + part : group_of(kind) + "/" + part;
}

std::vector<std::int64_t> axes_shape(const NodeLayout& layout, std::size_t kind) {
  if (layout.tables()[kind].is_list()) return {layout.nodes(kind)};
  std::vector<std::int64_t> shape = layout.shape(kind);
  const NodeKind of = layout.tables()[kind].kind;
  if (of == NodeKind::mlps || of == NodeKind::embeddings || of == NodeKind::errors) shape.erase(shape.begin() + 2);
  if (of == NodeKind::embeddings) shape.erase(shape.begin());
  return shape;
}

Strings names_of(const NodeLayout& layout) {
  Strings names;
  for (const NodeTable& table : layout.tables()) names.push_back(name_of(table.kind));
  return names;
}

Dataset dataset(const std::string& path, std::vector<std::int64_t> shape, Values values, Axes axes) {
  const DatasetRow& row = row_of(path);
  const auto type = static_cast<ValueType>(values.index());
  TRIBUTARY_EXPECT(type == row.type, path + " is " + name_of(row.type) + ", and not " + name_of(type));
  TRIBUTARY_EXPECT(shape.size() == axes_of(row, axes).size(), path + " has another number of axes in the schema");
  return {path, axes_of(row, axes), std::move(shape), std::move(values), row.long_name, row.units, {}};
}

Dataset list(const std::string& path, Values values) {
  const auto length = std::visit([](const auto& held) { return size_of(held); }, values);
  return dataset(path, {length}, std::move(values));
}

Dataset table(const std::string& path, const Rows& rows, Axes axes) {
  const std::int64_t columns = longest(rows);
  std::vector<float> values;
  for (const std::vector<double>& row : rows) {
    values.insert(values.end(), row.begin(), row.end());
    values.resize(values.size() + static_cast<std::size_t>(columns - size_of(row)), missing);
  }
  return dataset(path, {size_of(rows), columns}, std::move(values), axes);
}

Dataset integer_table(const std::string& path, const Rows& rows, Axes axes) {
  std::vector<std::int64_t> values;
  for (const std::vector<double>& row : rows) {
    for (const double value : row) values.push_back(static_cast<std::int64_t>(value));
  }
  std::vector<std::int64_t> shape = {size_of(rows), longest(rows)};
  if (axes_of(row_of(path), axes).size() == 1) shape.pop_back();
  return dataset(path, std::move(shape), std::move(values), axes);
}

void add_intervals(ResultsFile& file, const std::string& path, const std::vector<Interval>& intervals) {
  std::vector<double> low, high;
  for (const Interval& interval : intervals) {
    low.push_back(interval.low);
    high.push_back(interval.high);
  }
  file.datasets.push_back(list(path + "_low", std::move(low)));
  file.datasets.push_back(list(path + "_high", std::move(high)));
}

std::vector<float> floats_of(const Rows& rows) {
  std::vector<float> values;
  for (const std::vector<double>& row : rows) {
    for (const double value : row) values.push_back(static_cast<float>(value));
  }
  return values;
}

void add_provenance(ResultsFile& file, Provenance provenance) {
  for (const char* const by_rank : {"hosts", "devices"}) {
    const auto found = provenance.find(by_rank);
    if (found == provenance.end()) continue;
    file.datasets.push_back(list(std::string("/provenance/") + by_rank, std::get<Strings>(found->second)));
    provenance.erase(found);
  }
  file.group_attributes["/provenance"] = std::move(provenance);
}

}  // namespace tributary::detail
