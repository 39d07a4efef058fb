// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "common/text.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/errors.h"
#include "common/regular_file.h"

namespace tributary {
namespace {

struct Utf8Form {
  unsigned char lead_mask, lead_bits;  //!< which lead bytes announce this form
  std::size_t length;                  //!< bytes of the whole character
  std::uint32_t smallest_code_point;   //!< anything below is an overlong form
};

constexpr Utf8Form kUtf8Forms[] = {
    {0x80, 0x00, 1, 0x0}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}};

bool is_scalar_value(std::uint32_t code_point) {
  return code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
}

/// Length of the valid character at the front of `text`, or 0 when there is none.
std::size_t valid_character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  for (const Utf8Form& form : kUtf8Forms) {
    if ((lead & form.lead_mask) != form.lead_bits) continue;
    if (text.size() < form.length) return 0;
    std::uint32_t code_point = lead & static_cast<unsigned char>(~form.lead_mask);
    for (std::size_t i = 1; i < form.length; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xC0) != 0x80) return 0;
      code_point = (code_point << 6) | (byte & 0x3Fu);
    }
    return code_point >= form.smallest_code_point && is_scalar_value(code_point) ? form.length : 0;
  }
  return 0;
}

std::string hex_escape(char byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  return {'\\', 'x', digits[value / 16], digits[value % 16]};
}

/// A valid character, or its escape where a terminal obeys it instead of showing it.
std::string escaped(std::string_view character) {
  struct Escape {
    std::string_view character, shown;
  };
  // Line ends of Unicode, and what turns the direction of writing.
  constexpr Escape escapes[] = {
      {"\n", "\\n"},         {"\t", "\\t"},         {"\r", "\\r"},         {"\u2028", "\\u2028"}, {"\u2029", "\\u2029"},
      {"\u202a", "\\u202a"}, {"\u202b", "\\u202b"}, {"\u202c", "\\u202c"}, {"\u202d", "\\u202d"}, {"\u202e", "\\u202e"},
      {"\u2066", "\\u2066"}, {"\u2067", "\\u2067"}, {"\u2068", "\\u2068"}, {"\u2069", "\\u2069"}};
  for (const Escape& escape : escapes) {
    if (escape.character == character) return std::string(escape.shown);
  }
  const auto first = static_cast<unsigned char>(character[0]);
  if (first < 0x20 || first == 0x7F) return hex_escape(character[0]);
  const bool is_c1_control = first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  return is_c1_control ? hex_escape(character[1]) : std::string(character);
}

/// What people take for the same letter is one.
char folded(char c) {
  if (c == '_') return '-';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether the word is how the candidate begins: four letters of it at least, or whole words of it ("ig" of "ig-acts").
bool begins(std::string_view candidate, std::string_view word) {
  constexpr std::size_t telling = 4;
  if (word.empty() || candidate.size() <= word.size()) return false;
  const bool same =
      std::equal(word.begin(), word.end(), candidate.begin(), [](char x, char y) { return folded(x) == folded(y); });
  return same && (word.size() >= telling || folded(candidate[word.size()]) == '-');
}

/// Optimal string alignment distance: like Levenshtein's, with a swap of neighbours as one edit.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) { return folded(x) == folded(y); };
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const bool is_ascii = static_cast<unsigned char>(text[at]) < 0x80;  // nearly always: files of megabytes are checked
    const std::size_t length = is_ascii ? 1 : valid_character_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

std::vector<std::string> nearest_few(std::string_view word, const std::vector<std::string>& candidates,
                                     std::size_t most) {
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    const std::size_t allowed = std::max(word.size(), candidate.size()) / 3;
    if (distance <= allowed) {
      near.emplace_back(distance, candidate);
    } else if (begins(candidate, word)) {
      near.emplace_back(1, candidate);
    }
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> words;
  for (const auto& [distance, candidate] : near) {
    if (words.size() == most || distance > near.front().first + (near.front().first == 0 ? 0 : 1)) break;
    words.push_back(candidate);
  }
  return words;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string> few = nearest_few(word, candidates, 1);
  return few.empty() ? "" : few.front();
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  return did_you_mean(word, candidates, {});
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates,
                         const std::vector<Synonym>& synonyms) {
  constexpr std::size_t few = 2;
  std::vector<std::string> names = candidates;
  for (const Synonym& synonym : synonyms) names.push_back(synonym.word);
  std::vector<std::string> guesses;
  const auto guess = [&guesses](const std::string& name) {
    const bool is_new = std::find(guesses.begin(), guesses.end(), name) == guesses.end();
    if (is_new && guesses.size() < few) guesses.push_back(name);
  };
  for (const std::string& name : nearest_few(word, names, names.size())) {
    if (std::find(candidates.begin(), candidates.end(), name) != candidates.end()) guess(name);
    for (const Synonym& synonym : synonyms) {
      if (synonym.word == name) guess(synonym.meant);
    }
  }
  return guesses.empty() ? "" : " (did you mean '" + join(guesses, "' or '") + "'?)";
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += separator;
    text += words[i];
  }
  return text;
}

std::string printable(std::string_view text, LineEnds line_ends) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t length = valid_character_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    const bool stays = line_ends == LineEnds::keep && (character == "\n" || character == "\t");
    shown += stays ? std::string(character) : length == 0 ? hex_escape(character[0]) : escaped(character);
    text.remove_prefix(character.size());
  }
  return shown;
}

bool is_plain_name(std::string_view text) {
  constexpr std::size_t longest = 255;
  if (text.empty() || text == "." || text == ".." || text.size() > longest) return false;
  return text.find('/') == std::string_view::npos && printable(text, LineEnds::escape) == text;
}

std::string in_ranges(const std::vector<std::int64_t>& numbers) {
  std::vector<std::string> ranges;
  for (std::size_t first = 0; first < numbers.size();) {
    std::size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    ranges.push_back(std::to_string(numbers[first]) + (last > first ? " to " + std::to_string(numbers[last]) : ""));
    first = last + 1;
  }
  return join(ranges);
}

std::string about_dangling_link(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_symlink(path, ignored) || std::filesystem::exists(path, ignored)) return {};
  return " (it is a link to " + std::filesystem::read_symlink(path, ignored).string() +
         ", which is missing; fetch the file again)";
}

std::string read_file(const std::string& path) {
  const RegularFile file(path);
  const FileMark before = file.mark();
  std::string contents;
  std::vector<char> buffer(std::size_t{1} << 16);
  for (ssize_t count = 1; count > 0;) {
    count = ::read(file.descriptor(), buffer.data(), buffer.size());
    if (count > 0) contents.append(buffer.data(), static_cast<std::size_t>(count));
    if (count >= 0) continue;
    if (errno != EINTR) throw UserError(path, std::string("cannot be read to its end (") + std::strerror(errno) + ")");
    count = 1;
  }
  const FileMark after = file.mark();
  if (before.size != after.size || before.modified != after.modified) {
    throw RuntimeFailure(path +
                         ": was written to while it was read (what was read may be half old and half new); wait "
                         "until whoever writes it has finished, and start again");
  }
  return contents;
}

}  // namespace tributary
