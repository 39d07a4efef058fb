// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How a results file is laid out: paths, groups, which dataset is the dimension scale of which axis, and what the
// writer demands of contents. Knows names and shapes; makes no HDF5 call.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/results.h"

namespace tributary::detail {

/// "/attribution/scores" → "/attribution"; "/name" → "/".
std::string group_of(std::string_view path);

/// "/attribution/scores" → "scores".
std::string name_of(std::string_view path);

/// Where the scale of one of the axes of `dataset` lies: <group>/<axis>.
std::string scale_path(const Dataset& dataset, const std::string& axis);

/// Whether `dataset` lies at the place of its own axis, and so says what that axis means.
bool is_scale(const Dataset& dataset);

/// The scale of an axis that nobody described: 0 … length−1.
Dataset automatic_scale(const std::string& path, std::int64_t length);

/// Whether automatic_scale made it.
bool is_automatic_scale(const Dataset& dataset);

/// The scales that `contents` needs and does not hold, in order of first use.
std::vector<Dataset> missing_scales(const ResultsFile& contents);

/// Every group but the root, parents before children.
std::set<std::string> groups_of(const ResultsFile& contents);

/// The number of elements; nothing when a length is negative or the product overflows.
std::optional<std::int64_t> element_count(const std::vector<std::int64_t>& shape);

/// Attributes that the file format keeps for itself.
bool is_reserved_attribute(std::string_view name);

/// The first reason why `contents` cannot be written as it stands; empty: none.
std::string misfit_of(const ResultsFile& contents);

}  // namespace tributary::detail
