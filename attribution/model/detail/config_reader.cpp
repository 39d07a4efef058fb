// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/config_reader.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/errors.h"

namespace tributary::detail {

using nlohmann::json;

ConfigReader::ConfigReader(const json& config, std::string where) : config_(config), where_(std::move(where)) {}

const json* ConfigReader::find(const std::string& key) const {
  const auto found = config_.find(key);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::is_null(const std::string& key) const {
  const auto found = config_.find(key);
  return found != config_.end() && found->is_null();
}

std::int64_t ConfigReader::size(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) fail(key, "is missing (the model's shape needs it)");
  if (!value->is_number_integer() || value->get<std::int64_t>() <= 0 || value->get<std::int64_t>() > (1LL << 31)) {
    fail(key, "must be a positive whole number, not " + value->dump());
  }
  return value->get<std::int64_t>();
}

std::int64_t ConfigReader::size_or(const std::string& key, std::int64_t fallback) const {
  return key.empty() || find(key) == nullptr ? fallback : size(key);
}

std::int64_t ConfigReader::count_or(const std::string& key, std::int64_t fallback) const {
  const json* value = find(key);
  const bool none = value != nullptr && value->is_number_integer() && value->get<std::int64_t>() == 0;
  return none ? 0 : size_or(key, fallback);
}

double ConfigReader::number_or(const std::string& key, double fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) fail(key, "must be a number, not " + value->dump());
  return value->get<double>();
}

bool ConfigReader::boolean_or(const std::string& key, bool fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail(key, "must be true or false, not " + value->dump());
  return value->get<bool>();
}

std::string ConfigReader::word_or(const std::string& key, const std::string& fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) fail(key, "must be a string, not " + value->dump());
  return value->get<std::string>();
}

void ConfigReader::fail(const std::string& key, const std::string& text) const {
  throw UserError(where_, "'" + key + "' " + text);
}

}  // namespace tributary::detail
