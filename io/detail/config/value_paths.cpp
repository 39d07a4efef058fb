// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/config/value_paths.h"

#include <string>
#include <system_error>
#include <variant>

#include "io/detail/base/file_path.h"
#include "io/detail/base/repository_name.h"

namespace tributary::detail::config {
namespace {

std::string whole_path(const Key& key, const std::string& written, const std::filesystem::path& folder) {
  const std::string whole = absolute_path(folder, written);
  std::error_code ignored;
  const bool repository = key.names == Key::Names::repositories && is_repository_name(written) &&
                          !std::filesystem::exists(std::filesystem::symlink_status(whole, ignored));
  return repository ? written : whole;
}

}  // namespace

Value with_whole_paths(const Key& key, const Value& value, const std::filesystem::path& folder) {
  if (key.kind == Kind::path) return whole_path(key, std::get<std::string>(value), folder);
  if (key.kind != Kind::records) return value;
  Records records = std::get<Records>(value);
  for (Record& record : records) {
    for (const Key& field : key.fields) {
      const auto held = record.find(field.path);
      if (field.kind != Kind::path || held == record.end()) continue;
      held->second = whole_path(field, std::get<std::string>(held->second), folder);
    }
  }
  return records;
}

Value without_paths(const Key& key, const Value& value) {
  if (key.kind != Kind::records) return value;
  Records records = std::get<Records>(value);
  for (Record& record : records) {
    for (const Key& field : key.fields) {
      if (field.kind == Kind::path) record.erase(field.path);
    }
  }
  return records;
}

}  // namespace tributary::detail::config
