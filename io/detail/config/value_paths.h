// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The paths among the values of keys: made whole where they are read, left out where a run is identified. A path is a
// value of its own, or a field of records.
#pragma once

#include <filesystem>

#include "io/config.h"

namespace tributary::detail::config {

/// The value with its paths, as they were written, taken relative to the absolute `folder`. Names of repositories stay
/// as they are (Key::Names).
Value with_whole_paths(const Key& key, const Value& value, const std::filesystem::path& folder);

/// The value without the paths that are fields of its records.
Value without_paths(const Key& key, const Value& value);

}  // namespace tributary::detail::config
