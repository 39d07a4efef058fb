// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Values written as YAML that any reader takes for the same value, and texts shown in messages.
#pragma once

#include <string>
#include <string_view>

#include "io/config.h"

namespace tributary::detail::config {

/// `value` as YAML on one line; equal texts exactly for equal values of one kind.
std::string yaml_text(const Value& value);

/// `text` in single quotes for a message: on one line, shortened when long.
std::string shown(std::string_view text);

}  // namespace tributary::detail::config
