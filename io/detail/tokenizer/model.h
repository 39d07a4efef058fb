// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What makes tokens of one word: the `model` of a tokenizer.json, whatever its kind.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"

namespace tributary::detail::tokenizer {

/// How words are written: each byte as a character of the byte-level alphabet, or as they stand in the text.
enum class Words { bytes, characters };

/// Immutable; may be used from several threads at once.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  /// Appends the ids of one word. Throws UserError where the model has no token for a part of it and names none for
  /// unknown parts.
  virtual void append_ids(std::string_view word, std::vector<std::int64_t>& ids) const = 0;

  [[nodiscard]] virtual std::optional<std::int64_t> id_of(std::string_view token) const = 0;
  /// Nothing when the vocabulary has no such id.
  [[nodiscard]] virtual std::optional<std::string_view> token_of(std::int64_t id) const = 0;
  [[nodiscard]] virtual std::int64_t size() const = 0;
};

/// Throws UserError for a kind it does not know, and for settings of a kind that are not supported.
std::unique_ptr<const Model> read_model(const JsonView& description, Words words);

}  // namespace tributary::detail::tokenizer
