// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One value of a parsed JSON file for a reader that knows what it expects there: it refuses anything else and names the
// place ("model.merges[3]: …"), so that readers carry no file names around.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/base/json_text.h"

namespace tributary::detail {

/// Refers to the document, which must outlive it. Cheap to copy: where the value lies is looked up only for a message.
class JsonView {
 public:
  explicit JsonView(const JsonDocument& document) : document_(&document), value_(&document.root) {}
  explicit JsonView(JsonDocument&&) = delete;

  [[nodiscard]] const nlohmann::json& value() const { return *value_; }
  [[nodiscard]] const std::string& file() const { return document_->file; }
  [[nodiscard]] const std::string& text_hash() const { return document_->text_hash; }

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
  JsonView(const JsonDocument& document, const nlohmann::json& value) : document_(&document), value_(&value) {}
  void require(bool condition, std::string_view kind) const;

  const JsonDocument* document_;
  const nlohmann::json* value_;
};

}  // namespace tributary::detail
