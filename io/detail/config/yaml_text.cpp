// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/yaml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/text.h"
#include "io/detail/config/number_text.h"

namespace tributary::detail::config {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Whether any YAML reader takes the bare text for this text: no number, no word with a meaning, no punctuation of
/// YAML.
bool is_safe_unquoted(std::string_view text) {
  constexpr std::array<std::string_view, 9> kMeaningful{"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  if (text.empty() || !(is_letter(text[0]) || text[0] == '/' || text[0] == '_')) return false;
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/' || c == '+';
  });
  std::string lower(text);
  for (char& letter : lower) letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  return plain && std::find(kMeaningful.begin(), kMeaningful.end(), lower) == kMeaningful.end();
}

/// Characters beyond ASCII that some YAML readers take for line ends or control characters, as bytes and escape.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kEscapedCharacters{
    {{"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}, {"\uFEFF", "\\uFEFF"}}};

/// The escape for what stands at the front of `rest`, and how many bytes it stands for; 0 when none is needed.
std::pair<std::string, std::size_t> escape(std::string_view rest) {
  const auto byte = static_cast<unsigned char>(rest[0]);
  if (byte == '"' || byte == '\\') return {std::string{'\\', rest[0]}, 1};
  if (byte == '\n') return {"\\n", 1};
  if (byte == '\t') return {"\\t", 1};
  if (byte < 0x20 || byte == 0x7F) return {fmt::format("\\x{:02x}", byte), 1};
  const bool c1_control = byte == 0xC2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xA0;
  if (c1_control) return {fmt::format("\\x{:02x}", static_cast<unsigned char>(rest[1])), 2};
  for (const auto& [bytes, escaped] : kEscapedCharacters) {
    if (rest.starts_with(bytes)) return {std::string(escaped), bytes.size()};
  }
  return {"", 0};
}

std::string double_quoted(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const auto [escaped, length] = escape(text);
    result += length > 0 ? escaped : std::string(1, text[0]);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result + '"';
}

std::string item_text(const std::string& text) { return is_safe_unquoted(text) ? text : double_quoted(text); }
std::string item_text(std::int64_t number) { return std::to_string(number); }
std::string item_text(double number) { return number_text(number); }
std::string item_text(bool truth) { return truth ? "true" : "false"; }

std::string item_text(const Record& record) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : record) {
    texts.push_back(item_text(name) + ": " + std::visit([](const auto& held) { return item_text(held); }, value));
  }
  return "{" + join(texts) + "}";
}

template <typename T>
std::string item_text(const std::vector<T>& items) {
  std::vector<std::string> texts;
  for (const T& item : items) texts.push_back(item_text(item));
  return "[" + join(texts) + "]";
}

}  // namespace

std::string yaml_text(const Value& value) {
  return std::visit([](const auto& held) { return item_text(held); }, value);
}

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string result(text.substr(0, kLongest));
  if (const auto cut_character = first_invalid_utf8(result)) result.resize(*cut_character);
  const bool cut = result.size() < text.size();
  std::replace_if(
      result.begin(), result.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return "'" + result + (cut ? "…'" : "'");
}

}  // namespace tributary::detail::config
