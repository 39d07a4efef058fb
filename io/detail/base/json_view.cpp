// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/json_view.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/text.h"

namespace tributary::detail {
namespace {

/// "line:column" of a byte offset, both counted from 1 (columns in bytes).
std::string line_and_column(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 == 0: the first line
  return std::to_string(line) + ":" + std::to_string(before.size() - line_start + 1);
}

}  // namespace

nlohmann::json parse_json_file(const std::string& file) {
  const std::string text = read_file(file);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    // The parser counts from 1 the last byte it read.
    const std::size_t offset = error.byte > 0 ? error.byte - 1 : 0;
    const std::string what = error.what();
    const std::size_t detail = what.rfind("; ");
    throw UserError(file + ":" + line_and_column(text, offset),
                    "this is not valid JSON" +
                        (detail == std::string::npos ? "" : " (" + what.substr(detail + 2) + ")") +
                        "; copy or download the file again");
  }
}

std::optional<JsonView> JsonView::find(std::string_view key) const {
  require(value_->is_object(), "an object");
  const auto field = value_->find(key);
  if (field == value_->end() || field->is_null()) return std::nullopt;
  return JsonView(*field, file_, path_.empty() ? std::string(key) : path_ + "." + std::string(key));
}

JsonView JsonView::at(std::string_view key) const {
  auto field = find(key);
  if (!field) refuse("the field '" + std::string(key) + "' is missing; is this file whole?");
  return *field;
}

std::vector<JsonView> JsonView::elements() const {
  require(value_->is_array(), "a list");
  std::vector<JsonView> views;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    views.push_back(JsonView((*value_)[i], file_, path_ + "[" + std::to_string(i) + "]"));
  }
  return views;
}

std::string JsonView::text() const {
  require(value_->is_string(), "a text");
  return value_->get<std::string>();
}

bool JsonView::flag() const {
  require(value_->is_boolean(), "true or false");
  return value_->get<bool>();
}

bool JsonView::flag(std::string_view key, bool fallback) const {
  const auto field = find(key);
  return field ? field->flag() : fallback;
}

std::int64_t JsonView::id() const {
  constexpr std::uint64_t largest = 0xFFFFFFFF;
  require(value_->is_number_unsigned() && value_->get<std::uint64_t>() <= largest, "a token id");
  return value_->get<std::int64_t>();
}

void JsonView::refuse(const std::string& text) const {
  throw UserError(file_, path_.empty() ? text : path_ + ": " + text);
}

void JsonView::refuse_unknown(std::string_view what, const std::string& name,
                              const std::vector<std::string>& known) const {
  refuse("the " + std::string(what) + " '" + name + "' is not supported" + did_you_mean(name, known) +
         "; this program knows " + join(known));
}

void JsonView::require(bool condition, std::string_view kind) const {
  if (!condition) refuse("expected " + std::string(kind) + ", found " + value_->type_name() + "; is this file whole?");
}

}  // namespace tributary::detail
