// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Typed look-ups in a config.json that name the file and the key when something is wrong. It knows the keys of rotary
// positions, which families share, and of no family.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "attribution/model/architecture.h"

namespace tributary::detail {

/// Refers to the config, which must outlive it. A key that holds null counts as absent. Every look-up throws UserError
/// for a value of another kind.
class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& config, std::string where);

  /// Null when absent.
  [[nodiscard]] const nlohmann::json* find(const std::string& key) const;
  /// Whether the key is there and holds null.
  [[nodiscard]] bool is_null(const std::string& key) const;
  /// A positive whole number, which must be there.
  [[nodiscard]] std::int64_t size(const std::string& key) const;
  /// The same; an empty key is absent.
  [[nodiscard]] std::int64_t size_or(const std::string& key, std::int64_t fallback) const;
  /// A whole number from 0 on.
  [[nodiscard]] std::int64_t count_or(const std::string& key, std::int64_t fallback) const;
  [[nodiscard]] double number_or(const std::string& key, double fallback) const;
  [[nodiscard]] bool boolean_or(const std::string& key, bool fallback) const;
  [[nodiscard]] std::string word_or(const std::string& key, const std::string& fallback) const;
  /// Throws UserError about this key.
  [[noreturn]] void fail(const std::string& key, const std::string& text) const;
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  const nlohmann::json& config_;
  std::string where_;
};

/// Rotary settings in either spelling: rope_parameters {rope_theta, rope_type, …} of transformers 5, or rope_theta and
/// rope_scaling. Throws UserError for what we do not compute.
Rotary rotary_of(const ConfigReader& config);

}  // namespace tributary::detail
