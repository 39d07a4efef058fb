// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Short forms of config.json, and what is asked of their descriptions.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "attribution/model/families.h"
#include "common/errors.h"

namespace tributary::testing::configs {

using nlohmann::json;

/// The keys without which a model of the Llama form has no shape.
inline json llama_form(const std::string& family, const json& more = json::object()) {
  json config = {{"model_type", family},         {"num_hidden_layers", 2},  {"hidden_size", 12},
                 {"num_attention_heads", 3},     {"intermediate_size", 20}, {"vocab_size", 50},
                 {"max_position_embeddings", 64}};
  config.update(more);
  return config;
}

inline json gpt2_form(const json& more = json::object()) {
  json config = {{"model_type", "gpt2"}, {"n_layer", 2},     {"n_embd", 12},
                 {"n_head", 3},          {"vocab_size", 50}, {"n_positions", 64}};
  config.update(more);
  return config;
}

inline Architecture described(const json& config) { return describe_architecture(config, "config.json"); }

// What every layer of a description has alike.
inline NormKind norm_of(const Architecture& a) {
  for (const BlockSpec& block : a.blocks) {
    EXPECT_EQ(block.attention_norm.kind, a.final_norm.kind);
    EXPECT_EQ(block.mlp_norm.kind, a.final_norm.kind);
  }
  return a.final_norm.kind;
}
inline double norm_epsilon_of(const Architecture& a) {
  for (const BlockSpec& block : a.blocks) {
    EXPECT_EQ(block.attention_norm.epsilon, a.final_norm.epsilon);
    EXPECT_EQ(block.mlp_norm.epsilon, a.final_norm.epsilon);
  }
  return a.final_norm.epsilon;
}
inline MlpKind mlp_of(const Architecture& a) {
  EXPECT_EQ(a.blocks.back().mlp.kind, a.blocks.front().mlp.kind);
  return a.blocks.back().mlp.kind;
}
inline Activation activation_of(const Architecture& a) {
  EXPECT_EQ(a.blocks.back().mlp.activation, a.blocks.front().mlp.activation);
  return a.blocks.back().mlp.activation;
}
inline Rotary rotary_of(const Architecture& a) {
  for (const BlockSpec& block : a.blocks) EXPECT_EQ(block.attention.rotary, 0U);
  return a.rotaries.at(0);
}
inline std::optional<std::int64_t> window_of(const Architecture& a) {
  EXPECT_EQ(a.blocks.back().attention.window, a.blocks.front().attention.window);
  return a.blocks.back().attention.window;
}

inline std::string refusal(const json& config) {
  try {
    described(config);
  } catch (const UserError& error) {
    return error.what();
  }
  return "not refused";
}

/// The slots that a config asks tensors for.
inline std::set<Slot> wanted_slots(const json& config) {
  std::set<Slot> slots;
  for (const TensorRow& row : family_of(config, "config.json").tensors) {
    if (wants_tensor(row, config)) slots.insert(row.slots.begin(), row.slots.end());
  }
  return slots;
}

inline bool wants_any(const json& config, const std::set<Slot>& slots) {
  const std::set<Slot> wanted = wanted_slots(config);
  return std::any_of(slots.begin(), slots.end(), [&wanted](Slot slot) { return wanted.contains(slot); });
}

inline bool wants_all(const json& config, const std::set<Slot>& slots) {
  const std::set<Slot> wanted = wanted_slots(config);
  return std::includes(wanted.begin(), wanted.end(), slots.begin(), slots.end());
}

inline const std::set<Slot> qkv_biases = {Slot::query_bias, Slot::key_bias, Slot::value_bias};
inline const std::set<Slot> mlp_biases = {Slot::gate_bias, Slot::up_bias, Slot::down_bias};

}  // namespace tributary::testing::configs
