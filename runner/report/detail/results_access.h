// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Short ways to what results hold that were checked against the schema. Should a table ask for something else after
// all, these throw ContractViolation; elements are read with at(), so that no file, however it was made, leads beyond
// them.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/errors.h"
#include "io/results.h"

namespace tributary::detail {

/// Null: the group has no such attribute.
template <typename T>
const T* find_attribute(const ResultsFile& results, const std::string& group, const std::string& name) {
  const auto owner = results.group_attributes.find(group);
  if (owner == results.group_attributes.end()) return nullptr;
  const auto found = owner->second.find(name);
  return found == owner->second.end() ? nullptr : std::get_if<T>(&found->second);
}

template <typename T>
T attribute(const ResultsFile& results, const std::string& group, const std::string& name) {
  const T* found = find_attribute<T>(results, group, name);
  TRIBUTARY_EXPECT(found != nullptr, group + " has no attribute " + name + " of this type");
  return *found;
}

inline const Dataset& dataset_of(const ResultsFile& results, const std::string& path) {
  const Dataset* found = results.find(path);
  TRIBUTARY_EXPECT(found != nullptr, "there is no " + path);
  return *found;
}

template <typename T>
const std::vector<T>& values(const Dataset& dataset) {
  const auto* found = std::get_if<std::vector<T>>(&dataset.values);
  TRIBUTARY_EXPECT(found != nullptr, dataset.path + " holds values of another type");
  return *found;
}

template <typename T>
const std::vector<T>& values(const ResultsFile& results, const std::string& path) {
  return values<T>(dataset_of(results, path));
}

/// "norm ×9": rules that were on, with how often each acted in one backward pass, where the file tells.
inline std::vector<std::string> fired_rules(const ResultsFile& results) {
  std::vector<std::string> rules;
  for (const std::string& rule : attribute<std::vector<std::string>>(results, "/attribution", "rules")) {
    const auto* fired = find_attribute<std::int64_t>(results, "/attribution", "fired_" + rule);
    rules.push_back(fired == nullptr ? rule : rule + " ×" + std::to_string(*fired));
  }
  return rules;
}

}  // namespace tributary::detail
