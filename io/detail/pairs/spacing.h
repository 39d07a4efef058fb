// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether the space between a prompt and its answer was forgotten or given twice. Only scripts with words between
// spaces are judged, and of them those that have capitals (Latin, Greek, Cyrillic, …): others join suffixes without
// one.
#pragma once

#include <string_view>

namespace tributary::detail::pairs {

enum class Spacing { plausible, missing, doubled };

/// missing: a letter or digit follows a letter, digit or closing punctuation ('is' + 'Paris'), but for digits that go
/// on with a number ('17' + '32'). doubled: a space follows white space. Both texts are valid UTF-8.
Spacing spacing_between(std::string_view prompt, std::string_view answer);

/// Spaces, and nothing else.
bool is_blank(std::string_view text);

}  // namespace tributary::detail::pairs
