// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/json_text.h"

#include <cctype>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/hash.h"
#include "common/text.h"
#include "io/detail/base/text_places.h"

namespace tributary::detail {
namespace {

using nlohmann::json;

// Copying and printing a json value recurse, so the depth of what we accept must be bounded. Real files need five.
constexpr std::size_t deepest = 64;

/// Reads characters and tells how far the parser has come: its events carry no position.
class TrackedIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator(const char* at, const char** latest) : at_(at), latest_(latest) {}
  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    *latest_ = ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TrackedIterator& other) const { return at_ == other.at_; }
  bool operator!=(const TrackedIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** latest_;
};

/// The byte of the quote that opens the string whose closing quote is at `close`.
std::size_t opening_quote(std::string_view text, std::size_t close) {
  for (std::size_t at = close; at-- > 0;) {
    if (text[at] != '"') continue;
    std::size_t backslashes = 0;
    while (backslashes < at && text[at - 1 - backslashes] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return at;
  }
  return close;
}

/// The first byte of the token that ends at `last`.
std::size_t token_start(std::string_view text, std::size_t last) {
  if (text[last] == '"') return opening_quote(text, last);
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.'; };
  std::size_t start = last;
  while (in_word(text[start]) && start > 0 && in_word(text[start - 1])) --start;
  return start;
}

/// nlohmann's messages without their own prefix and position.
std::string plain_message(const std::string& what) {
  std::size_t start = what.find("] ");
  start = start == std::string::npos ? 0 : start + 2;
  if (const std::size_t column = what.find("column ", start); column != std::string::npos) {
    if (const std::size_t colon = what.find(": ", column); colon != std::string::npos) start = colon + 2;
  }
  return what.substr(start);
}

class JsonTreeBuilder final : public nlohmann::json_sax<json> {
 public:
  JsonTreeBuilder(std::string_view text, const char* const* latest) : text_(text), latest_(latest) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return fail(consumed(), "binary data is not JSON"); }
  bool start_object(std::size_t /*elements*/) override { return descend(json::object()); }
  bool end_object() override { return ascend(); }
  bool start_array(std::size_t /*elements*/) override { return descend(json::array()); }
  bool end_array() override { return ascend(); }

  bool key(string_t& name) override {
    auto& object = open_.back()->get_ref<json::object_t&>();
    const auto [entry, is_new] = object.try_emplace(std::move(name));
    if (!is_new) {
      return fail(opening_quote(text_, consumed() - 1),
                  fmt::format("the key \"{}\" is given twice; keep one of them", entry->first));
    }
    if (open_.size() == 1) document_.key_bytes.emplace(entry->first, opening_quote(text_, consumed() - 1));
    slot_ = &entry->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/, const json::exception& error) override {
    const std::string reason = plain_message(error.what());
    const std::string problem = fmt::format("this is not valid JSON ({}); correct it, or fetch the file again", reason);
    // The lexer counts the end of the text as one more character, so the position may lie behind the last byte.
    if (position > text_.size() || position == 0) return fail(text_.size(), problem);
    const bool inside_token = reason.find("last read: ") != std::string::npos;
    return fail(inside_token ? position - 1 : token_start(text_, position - 1), problem);
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::size_t problem_byte() const { return problem_byte_; }
  JsonDocument take() { return std::move(document_); }

 private:
  [[nodiscard]] std::size_t consumed() const { return static_cast<std::size_t>(*latest_ - text_.data()); }

  bool fail(std::size_t byte, std::string problem) {
    problem_byte_ = byte;
    problem_ = std::move(problem);
    return false;
  }

  json& place(json value) {
    if (open_.empty()) return document_.root = std::move(value);
    if (open_.back()->is_array()) return open_.back()->emplace_back(std::move(value));
    return *slot_ = std::move(value);
  }

  bool put(json value) {
    place(std::move(value));
    return true;
  }

  bool descend(json container) {
    if (open_.size() == deepest) {
      return fail(consumed() - 1, fmt::format("values are nested more than {} deep (no file of this kind is); "
                                              "check that this is the file you meant",
                                              deepest));
    }
    open_.push_back(&place(std::move(container)));
    return true;
  }

  bool ascend() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  const char* const* latest_;
  JsonDocument document_;
  std::vector<json*> open_;  // the containers being filled, outermost first
  json* slot_ = nullptr;     // where the value after a key goes
  std::string problem_;
  std::size_t problem_byte_ = 0;
};

}  // namespace

std::string JsonSource::where(std::size_t byte) const {
  const Place place = TextPlaces(text).at_byte(byte);
  return fmt::format("{}:{}:{}", file, first_line + static_cast<std::size_t>(place.line) - 1, place.column);
}

JsonDocument parse_json(const JsonSource& source) {
  if (const auto bad = first_invalid_utf8(source.text)) {
    throw UserError(source.where(*bad), fmt::format("byte 0x{:02X} is not valid UTF-8 here; save the file as UTF-8",
                                                    static_cast<unsigned char>(source.text[*bad])));
  }
  // The parser takes a NUL for the end of its input and would ignore the rest.
  if (const std::size_t nul = source.text.find('\0'); nul != std::string_view::npos) {
    throw UserError(source.where(nul), "a NUL byte is not JSON (the file may be damaged, or UTF-16); save it as UTF-8");
  }
  const char* const begin = source.text.data();
  const char* const end = begin + source.text.size();
  const char* latest = begin;
  JsonTreeBuilder builder(source.text, &latest);
  if (!json::sax_parse(TrackedIterator(begin, &latest), TrackedIterator(end, &latest), &builder)) {
    throw UserError(source.where(builder.problem_byte()), builder.problem());
  }
  JsonDocument document = builder.take();
  document.file = source.file;
  return document;
}

JsonDocument parse_json_file(const std::string& file) {
  const std::string text = read_file(file);
  JsonDocument document = parse_json({text, file});
  document.text_hash = hash_of(text);
  return document;
}

}  // namespace tributary::detail
