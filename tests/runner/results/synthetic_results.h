// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A results file with everything that the schema knows, for tests of what reads such files: made-up values, but the
// lengths, types and attributes of a run of 2 layers, 3 positions, 4 neurons, 2 heads, 3 training and 2 held-out pairs.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "runner/results/schema.h"

namespace tributary {

/// The group that holds of neurons what a group holds of other nodes: "/nodes/heads/agreement" → "/agreement".
inline std::string group_of_neurons(const std::string& group) {
  const std::string nodes = "/nodes/";
  if (!group.starts_with(nodes)) return group;
  const std::size_t end = group.find('/', nodes.size());
  return end == std::string::npos ? "/attribution" : group.substr(end);
}

inline std::int64_t synthetic_length(const std::string& group, const std::string& axis) {
  if (axis == "head" || axis == "dictionary") return 2;
  if (axis == "entry") return 4;
  if (axis == "kept") return 6;
  if (axis == "layer" && group.starts_with("/nodes/embeddings")) return 1;
  static const std::map<std::string, std::int64_t> lengths = {{"/attribution/layer", 2},
                                                              {"/attribution/position", 3},
                                                              {"/attribution/neuron", 4},
                                                              {"/attribution/pair", 3},
                                                              {"/attribution/run", 2},
                                                              {"/attribution/rank", 5},
                                                              {"/attribution/path", 1},
                                                              {"/cases/case", 2},
                                                              {"/cases/layer", 2},
                                                              {"/cases/position", 3},
                                                              {"/cases/neuron", 4},
                                                              {"/circuit/point", 4},
                                                              {"/circuit/pair", 2},
                                                              {"/circuit/fraction", 6},
                                                              {"/agreement/sample", 7},
                                                              {"/agreement/pair", 3},
                                                              {"/agreement/statistic", 4},
                                                              {"/steering/steered", 2},
                                                              {"/steering/factor", 3},
                                                              {"/steering/pair", 2},
                                                              {"/steering/place", 5},
                                                              {"/pairs/pair", 5},
                                                              {"/pairs/run", 2},
                                                              {"/pairs/token", 6},
                                                              {"/pairs/skipped", 1},
                                                              {"/provenance/rank", 2},
                                                              {"/top/rank", 3},
                                                              {"/top/place", 5},
                                                              {"/top/pair", 3},
                                                              {"/top/run", 2}};
  return lengths.at(group_of_neurons(group) + "/" + axis);
}

inline Values synthetic_values(ValueType type, std::size_t count) {
  switch (type) {
    case ValueType::float32: {
      std::vector<float> values(count);
      for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i) * 0.5F;
      return values;
    }
    case ValueType::float64: {
      std::vector<double> values(count);
      for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<double>(i) * 0.1;
      return values;
    }
    case ValueType::int64:
      return std::vector<std::int64_t>(count, 1);
    case ValueType::text:
      return std::vector<std::string>(count, "text");
  }
  return {};
}

inline Attribute synthetic_attribute(const AttributeRow& row) {
  static const std::vector<std::string> every_kind = {"neurons", "heads", "mlps", "embeddings", "features", "errors"};
  static const std::map<std::string, Attribute> told = {{"method", std::string("relp")},
                                                        {"quadrature", std::string("none")},
                                                        {"positions", std::string("keep")},
                                                        {"rules", std::vector<std::string>{"norm", "half"}},
                                                        {"nodes", every_kind},
                                                        {"kinds", every_kind},
                                                        {"seconds", std::string(R"({"attribution": 1.5})")},
                                                        {"pairs", std::string("a_train.jsonl, a_test.jsonl")}};
  if (const auto found = told.find(row.name); found != told.end() && found->second.index() == std::size_t(row.type)) {
    return found->second;
  }
  switch (row.type) {
    case AttributeType::text:
      return std::string("word");
    case AttributeType::integer:
      return std::int64_t{1};
    case AttributeType::number:
      return 0.5;
    case AttributeType::integers:
      return std::vector<std::int64_t>{1, 2};
    case AttributeType::numbers:
      return std::vector<double>{0.5};
    case AttributeType::texts:
      return std::vector<std::string>{"one"};
  }
  return {};
}

/// Where a dataset lies: "/attribution/scores" → "/attribution".
inline std::string group_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// All rows of the schema, with their usual axes.
inline ResultsFile synthetic_results() {
  ResultsFile file;
  for (const DatasetRow& row : results_schema().datasets) {
    Dataset dataset{row.path, row.axes, {}, {}, row.long_name, row.units, {}};
    std::size_t count = 1;
    for (const std::string& axis : row.axes) {
      dataset.shape.push_back(synthetic_length(group_of(row.path), axis));
      count *= static_cast<std::size_t>(dataset.shape.back());
    }
    dataset.values = synthetic_values(row.type, count);
    if (row.path == "/pairs/split")
      dataset.values = std::vector<std::string>{"train", "train", "train", "test", "test"};
    file.datasets.push_back(std::move(dataset));
  }
  for (const AttributeRow& row : results_schema().attributes) {
    auto* attributes = &file.group_attributes[row.owner];
    for (Dataset& dataset : file.datasets) {
      if (dataset.path == row.owner) attributes = &dataset.attributes;
    }
    (*attributes)[row.name] = synthetic_attribute(row);
  }
  std::erase_if(file.group_attributes, [](const auto& group) { return group.second.empty(); });
  return file;
}

/// The dataset of a path that is there.
inline Dataset& dataset_at(ResultsFile& file, const std::string& path) {
  for (Dataset& dataset : file.datasets) {
    if (dataset.path == path) return dataset;
  }
  throw std::out_of_range(path);
}

inline void remove_dataset(ResultsFile& file, const std::string& path) {
  std::erase_if(file.datasets, [&path](const Dataset& dataset) { return dataset.path == path; });
}

}  // namespace tributary
