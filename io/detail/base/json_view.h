// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One value of a JSON file that remembers where it stands, so that whoever reads it can refuse it by
// name ("model.merges[3]: …") without carrying file names around.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tributary::detail {

/// Reads and parses a JSON file. Throws UserError; broken JSON is reported with line and column.
nlohmann::json parse_json_file(const std::string& file);

/// Does not own the value: the parsed file must outlive it.
class JsonView {
 public:
  JsonView(const nlohmann::json& value, std::string file) : value_(&value), file_(std::move(file)) {}

  [[nodiscard]] const nlohmann::json& value() const { return *value_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  /// The field of an object; nothing when it is missing or null.
  [[nodiscard]] std::optional<JsonView> find(std::string_view key) const;
  /// The field of an object, which must be there.
  [[nodiscard]] JsonView at(std::string_view key) const;
  [[nodiscard]] std::vector<JsonView> elements() const;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool flag() const;
  [[nodiscard]] bool flag(std::string_view key, bool fallback) const;
  /// A token id: 0 … 2^32 − 1.
  [[nodiscard]] std::int64_t id() const;

  /// Throws UserError about this value. The text is the problem and what to do.
  [[noreturn]] void refuse(const std::string& text) const;
  /// Throws UserError about a name that is none of the known ones.
  [[noreturn]] void refuse_unknown(std::string_view what, const std::string& name,
                                   const std::vector<std::string>& known) const;

 private:
  JsonView(const nlohmann::json& value, std::string file, std::string path)
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}
  void require(bool condition, std::string_view kind) const;

  const nlohmann::json* value_;
  std::string file_;
  std::string path_;
};

}  // namespace tributary::detail
