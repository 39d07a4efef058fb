// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Small text helpers that several rooms need: UTF-8 checks, "did you mean" suggestions, whole files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

/// Byte offset of the first byte that is not valid UTF-8 (overlong forms, surrogates and code points
/// above U+10FFFF included), or nothing when the text is valid.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

/// The candidate nearest to `word` by edit distance (insert, delete, replace, swap neighbours; a change of
/// ASCII case is free), or empty when none is near enough to be a likely misspelling: at most one edit in
/// every three letters. Ties go to the earlier candidate.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// " (did you mean 'steps'?)", or empty when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

/// "0 to 2, 5": ascending numbers, those that follow each other as a range.
std::string in_ranges(const std::vector<std::int64_t>& numbers);

/// The whole of a file, byte for byte. Throws UserError(path, …) when it is missing, a folder or not readable.
std::string read_file(const std::string& path);

}  // namespace tributary
