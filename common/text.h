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

/// The candidates nearest to `word`, nearest first, at most `most`: by edit distance (insert, delete, replace, swap
/// neighbours; a change of ASCII case, and of hyphens into underscores, is free), where that is at most one edit in
/// every three letters; or because the word is a candidate's beginning ("logit_diff" of "logit-difference"). Only those
/// as near as the nearest, or by one edit less. Ties go to the earlier candidate.
std::vector<std::string> nearest_few(std::string_view word, const std::vector<std::string>& candidates,
                                     std::size_t most);
/// The first of them, or empty when none is near enough to be a likely misspelling.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// " (did you mean 'ig-acts' or 'ig-inputs'?)", or empty when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// Another name that people give to something, and ours. A word that means several things has as many rows.
struct Synonym {
  std::string word, meant;
};
/// The same, where the word may be near a synonym of a candidate as well: the candidate is suggested.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates,
                         const std::vector<Synonym>& synonyms);

/// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

/// The text as a terminal may show it: what would move its cursor, colour it, name its window or turn its writing round
/// is written as Python's repr does ("\\x1b", "\\r", "\\u202e"), and so are bytes that are no UTF-8.
enum class LineEnds { keep, escape };  //!< keep: '\n' and '\t' stay
std::string printable(std::string_view text, LineEnds line_ends = LineEnds::keep);

/// Whether a text can only name something inside the folder in which it is looked for: not empty, '.' or '..', without
/// '/' and characters that printable() escapes, and not longer than file systems allow (255 bytes).
bool is_plain_name(std::string_view text);

/// "0 to 2, 5": ascending numbers, those that follow each other as a range.
std::string in_ranges(const std::vector<std::int64_t>& numbers);

/// " (it is a link to blobs/1f3a, which is missing; fetch the file again)" where the path is a link that leads nowhere,
/// as in a copied or half-cleared download cache; else empty.
std::string about_dangling_link(const std::string& path);

/// The whole of a file, byte for byte. Throws UserError(path, …) when it is missing, not readable or no regular file
/// (regular_file.h), RuntimeFailure when somebody writes to it meanwhile.
std::string read_file(const std::string& path);

}  // namespace tributary
