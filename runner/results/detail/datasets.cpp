// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/results/detail/datasets.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tributary::detail {
namespace {

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

}  // namespace

Dataset table_dataset(const std::string& path, const PairTable& table, const std::string& axis,
                      const std::string& long_name, const std::string& units) {
  std::size_t columns = 0;
  for (const std::vector<double>& row : table.rows) columns = std::max(columns, row.size());
  std::vector<float> values;
  for (const std::vector<double>& row : table.rows) {
    for (std::size_t c = 0; c < columns; ++c) values.push_back(c < row.size() ? static_cast<float>(row[c]) : missing);
  }
  Dataset dataset{path, {"pair"}, {size_of(table.rows)}, std::move(values), long_name, units, {}};
  if (!axis.empty()) {
    dataset.axes.push_back(axis);
    dataset.shape.push_back(static_cast<std::int64_t>(columns));
  }
  return dataset;
}

Dataset integers_dataset(const std::string& path, const PairTable& table, const std::string& long_name) {
  Dataset dataset = table_dataset(path, table, "layer", long_name, "1");
  std::vector<std::int64_t> values;
  for (const std::vector<double>& row : table.rows) {
    for (const double value : row) values.push_back(static_cast<std::int64_t>(value));
  }
  dataset.values = std::move(values);
  return dataset;
}

Dataset points_dataset(const std::string& path, const std::vector<double>& values, const std::string& axis,
                       const std::string& long_name, const std::string& units) {
  return {path, {axis}, {size_of(values)}, values, long_name, units, {}};
}

Dataset counts_dataset(const std::string& path, const std::vector<std::int64_t>& values, const std::string& axis,
                       const std::string& long_name) {
  return {path, {axis}, {size_of(values)}, values, long_name, "1", {}};
}

Dataset strings_dataset(const std::string& path, const Strings& values, const std::string& axis,
                        const std::string& long_name) {
  return {path, {axis}, {size_of(values)}, values, long_name, "", {}};
}

Dataset metrics_dataset(const std::string& path, const std::vector<std::vector<double>>& metrics, std::int64_t pairs,
                        const std::string& axis, const std::string& long_name, const std::string& units) {
  std::vector<float> values;
  for (const std::vector<double>& row : metrics) {
    for (const double value : row) values.push_back(static_cast<float>(value));
  }
  return {path, {axis, "pair"}, {size_of(metrics), pairs}, std::move(values), long_name, units, {}};
}

Dataset pair_metrics_dataset(const std::string& path, const std::vector<double>& metrics,
                             const std::string& long_name) {
  return {path,     {"pair"}, {size_of(metrics)}, std::vector<float>(metrics.begin(), metrics.end()), long_name,
          "logits", {}};
}

void add_intervals(ResultsFile& file, const std::string& path, const std::vector<Interval>& intervals,
                   const std::string& axis, const std::string& units) {
  std::vector<double> low, high;
  for (const Interval& interval : intervals) {
    low.push_back(interval.low);
    high.push_back(interval.high);
  }
  const std::string what = "end of the 95 % bootstrap interval over unique prompt pairs";
  file.datasets.push_back(points_dataset(path + "_low", low, axis, "lower " + what, units));
  file.datasets.push_back(points_dataset(path + "_high", high, axis, "upper " + what, units));
}

}  // namespace tributary::detail
