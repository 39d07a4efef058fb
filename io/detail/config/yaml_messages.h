// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// YAML in words, for messages: yaml-cpp's errors as what to do about them (it names parser states, not mistakes), and
// what stands where something else is wanted.
#pragma once

#include <string>
#include <string_view>

#include "io/detail/config/yaml_reader.h"

namespace tributary::detail::config {

/// `message` as yaml-cpp gives it, for an error on the 1-based `line` of `text`.
std::string explain_yaml_error(std::string_view message, std::string_view text, int line);

/// What stands in place of a mapping or list: "a list", "'10'".
std::string what_is(const YamlNode& node);

/// To YAML `steps:10` is one word; the hint for a value that may be one.
std::string missing_space_hint(const YamlNode& node);

}  // namespace tributary::detail::config
