// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What a pairs file is where it is not one JSON object a line: said once, instead of a complaint about every line.
#pragma once

#include <string>
#include <string_view>

namespace tributary::detail::pairs {

/// The form that is wanted, as advice: "give one JSON object a line: {"clean_prefix": …".
extern const char* const wanted_form;

/// "looks like a CSV file …", "is one JSON array …": what the whole file is, and how to change it. Empty: it may be
/// JSON lines, with mistakes of their own.
std::string other_form(std::string_view content);

}  // namespace tributary::detail::pairs
