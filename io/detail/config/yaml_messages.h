// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// yaml-cpp's messages in words that say what to do; they name parser states, not mistakes.
#pragma once

#include <string>
#include <string_view>

namespace tributary::detail {

/// `message` as yaml-cpp gives it, for an error on the 1-based `line` of `text`.
std::string explain_yaml_error(std::string_view message, std::string_view text, int line);

}  // namespace tributary::detail
