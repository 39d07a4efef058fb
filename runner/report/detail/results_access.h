// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Short ways to what our own results files hold.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "io/results.h"

namespace tributary::detail {

template <typename T>
T attribute(const ResultsFile& results, const std::string& group, const std::string& name) {
  return std::get<T>(results.group_attributes.at(group).at(name));
}

template <typename T>
const std::vector<T>& values(const Dataset& dataset) {
  return std::get<std::vector<T>>(dataset.values);
}

/// Values of a dataset that is known to be there.
template <typename T>
const std::vector<T>& values(const ResultsFile& results, const std::string& path) {
  return values<T>(*results.find(path));
}

}  // namespace tributary::detail
