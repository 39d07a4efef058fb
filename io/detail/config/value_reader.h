// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One YAML value read as what its key may hold, stricter than YAML: what two readers could take for two
// different values is refused with a hint. Paths are left as written.
#pragma once

#include <optional>
#include <vector>

#include "io/config.h"
#include "io/detail/config/yaml_reader.h"

namespace tributary::detail::config {

/// The value, or nothing and complaints that name the key's whole path.
std::optional<Value> read_value(const Key& key, const YamlNode& node, std::vector<Complaint>& complaints);

}  // namespace tributary::detail::config
