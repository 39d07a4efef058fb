// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/base/json_view.h"

#include <cstddef>
#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/text.h"

namespace tributary::detail {
namespace {

/// Appends to `path` how the value at this address is reached from `from` ("model.merges[3]"). False when it does not
/// lie there; `path` is then as it was. Recursion ends where parse_json's limit of depth ends.
bool append_path(const nlohmann::json& from, const nlohmann::json* target, std::string& path) {
  if (&from == target) return true;
  const std::size_t length = path.size();
  for (const auto& [key, value] : from.items()) {
    if (!value.is_structured() && &value != target) continue;
    path += from.is_array() ? "[" + key + "]" : length == 0 ? key : "." + key;
    if (append_path(value, target, path)) return true;
    path.resize(length);
  }
  return false;
}

}  // namespace

std::optional<JsonView> JsonView::find(std::string_view key) const {
  require(value_->is_object(), "an object");
  const auto field = value_->find(key);
  if (field == value_->end() || field->is_null()) return std::nullopt;
  return JsonView(*document_, *field);
}

JsonView JsonView::at(std::string_view key) const {
  auto field = find(key);
  if (!field) refuse("the field '" + std::string(key) + "' is missing; is this file whole?");
  return *field;
}

std::vector<JsonView> JsonView::elements() const {
  require(value_->is_array(), "a list");
  std::vector<JsonView> views;
  views.reserve(value_->size());
  for (const nlohmann::json& element : *value_) views.push_back(JsonView(*document_, element));
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
  std::string path;
  append_path(document_->root, value_, path);
  throw UserError(file(), path.empty() ? text : path + ": " + text);
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
