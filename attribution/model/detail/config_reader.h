// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Typed look-ups in a config.json that name the file and the key when something is wrong. It knows the keys of rotary
// positions, which families share, and of no family.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

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

/// What a family's config calls its rotary settings, and what it means where it says nothing.
struct RotaryKeys {
  double theta = 10000.0;
  std::string theta_key = "rope_theta";
  std::string part_key{};  //!< the share of a head's dimensions that turn; empty: heads always turn whole
  double part = 1.0;
  std::int64_t original_positions = 0;  //!< 0: those that the scaling names, else max_position_embeddings
  std::map<std::string, std::string> renamed_types{};  //!< older names of rope_type
  std::vector<std::string> types{};                    //!< those that the family has; empty: all

  /// Blocks that see a window turn by another rotary embedding, which no rope_scaling scales. Then rope_parameters has
  /// settings for each kind of layer.
  struct Sliding {
    double theta = 10000.0;
    std::string theta_key{};  //!< empty: there is none
  };
  std::optional<Sliding> sliding{};
};

/// What layer_types calls the two kinds of layer.
inline constexpr const char* full_attention = "full_attention";
inline constexpr const char* sliding_attention = "sliding_attention";

/// The rotary embedding of layers of a kind, in either spelling: rope_parameters {rope_theta, rope_type, …} of
/// transformers 5, or rope_theta and rope_scaling. Families without `sliding` have the same one in every layer.
/// Throws UserError: a scaling we do not compute or without its numbers, numbers outside their range, spellings that
/// contradict each other.
Rotary rotary_of(const ConfigReader& config, const RotaryKeys& keys = {}, const std::string& kind = full_attention);

}  // namespace tributary::detail
