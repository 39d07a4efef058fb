// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/config_reader.h"

#include <nlohmann/json.hpp>
#include <utility>

#include <fmt/format.h>

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

namespace {

constexpr double default_theta = 10000.0;

/// Heads of which only a part turns are not described here.
void require_whole_heads(const ConfigReader& config) {
  const double part = config.number_or("partial_rotary_factor", 1.0);
  if (part != 1.0) {
    config.fail("partial_rotary_factor",
                fmt::format("is {}, and we compute only rotary positions that turn whole heads (1)", part));
  }
}

/// Rotary settings of one block of them, `rope_scaling` or `rope_parameters`.
Rotary rotary_in(const ConfigReader& config, const std::string& key) {
  Rotary rotary;
  rotary.theta = config.number_or("rope_theta", default_theta);
  const json* block = config.find(key);
  if (block == nullptr) return rotary;
  if (!block->is_object()) config.fail(key, "must be an object, not " + block->dump());
  for (const json& setting : *block) {
    if (setting.is_object()) config.fail(key, "has settings for each kind of layer, which are not described here");
  }
  const ConfigReader inner(*block, config.where() + ": " + key);
  rotary.theta = inner.number_or("rope_theta", rotary.theta);
  require_whole_heads(inner);
  const std::string type = inner.word_or("rope_type", inner.word_or("type", "default"));
  if (type == "default") return rotary;
  if (type != "linear" && type != "llama3") {
    inner.fail("rope_type",
               "is '" + type + "', a rotary scaling we do not compute; known ones: default, linear, llama3");
  }
  rotary.scaling = type == "linear" ? RotaryScaling::linear : RotaryScaling::llama3;
  rotary.factor = inner.number_or("factor", 1.0);
  if (!(rotary.factor > 0)) inner.fail("factor", "must be above 0");
  if (rotary.scaling == RotaryScaling::llama3) {
    rotary.low_frequency_factor = inner.number_or("low_freq_factor", 1.0);
    rotary.high_frequency_factor = inner.number_or("high_freq_factor", 4.0);
    rotary.original_positions = inner.size("original_max_position_embeddings");
    if (!(rotary.high_frequency_factor > rotary.low_frequency_factor)) {
      inner.fail("high_freq_factor", "must be above low_freq_factor");
    }
  }
  return rotary;
}

}  // namespace

Rotary rotary_of(const ConfigReader& config) {
  require_whole_heads(config);
  const bool newer = config.find("rope_parameters") != nullptr;
  const Rotary rotary = rotary_in(config, newer ? "rope_parameters" : "rope_scaling");
  if (newer && config.find("rope_scaling") != nullptr && rotary_in(config, "rope_scaling") != rotary) {
    config.fail("rope_scaling",
                "and 'rope_parameters' say different things (versions of transformers disagree on which of them "
                "counts); keep the one that the model was trained with");
  }
  if (!(rotary.theta > 0)) config.fail("rope_theta", "must be above 0");
  return rotary;
}

}  // namespace tributary::detail
