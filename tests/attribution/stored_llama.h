// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint of one small Llama layer in memory, whose tensors lie apart unless told otherwise.
#pragma once

#include "attribution/model/tensors.h"

#include <ATen/Context.h>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "attribution/model/families.h"
#include "attribution/model/weights.h"

namespace tributary::testing::stored {

inline constexpr std::int64_t d = 4, neurons = 6, vocabulary = 9;

inline nlohmann::json llama_config() {
  return {{"model_type", "llama"},       {"hidden_size", d},
          {"num_hidden_layers", 1},      {"num_attention_heads", 2},
          {"num_key_value_heads", 1},    {"intermediate_size", neurons},
          {"vocab_size", vocabulary},    {"max_position_embeddings", 8},
          {"rms_norm_eps", 1e-5},        {"hidden_act", "silu"},
          {"tie_word_embeddings", false}};
}
inline const std::string layer = "model.layers.0.";
inline const std::string query = layer + "self_attn.q_proj.weight", key = layer + "self_attn.k_proj.weight",
                         value = layer + "self_attn.v_proj.weight", gate = layer + "mlp.gate_proj.weight",
                         up = layer + "mlp.up_proj.weight";

/// A checkpoint in memory: each tensor by itself, unless laid side by side.
struct Stored {
  std::map<std::string, at::Tensor> tensors;

  [[nodiscard]] TensorSource source() const {
    TensorSource source;
    source.find = [all = tensors](const std::string& name) {
      const auto found = all.find(name);
      return found == all.end() ? at::Tensor() : found->second;
    };
    for (const auto& [name, tensor] : tensors) source.names.push_back(name);
    source.where = "memory";
    return source;
  }
  /// Puts tensors of equal row widths one behind the other, as a file has them; returns the first byte.
  void* lay_together(const std::vector<std::string>& names) {
    std::vector<at::Tensor> pieces;
    for (const std::string& name : names) pieces.push_back(tensors.at(name));
    const at::Tensor all = at::cat(pieces);
    std::int64_t row = 0;
    for (const std::string& name : names) {
      const std::int64_t rows = tensors.at(name).size(0);
      tensors[name] = all.narrow(0, row, rows);
      row += rows;
    }
    return all.data_ptr();
  }
};

inline Stored llama_tensors() {
  at::manual_seed(9);
  const auto matrix = [](std::int64_t rows, std::int64_t columns) { return at::randn({rows, columns}, at::kFloat); };
  return {{{"model.embed_tokens.weight", matrix(vocabulary, d)},
           {"model.norm.weight", at::randn({d}, at::kFloat)},
           {"lm_head.weight", matrix(vocabulary, d)},
           {layer + "input_layernorm.weight", at::randn({d}, at::kFloat)},
           {query, matrix(4, d)},
           {key, matrix(2, d)},
           {value, matrix(2, d)},
           {layer + "self_attn.o_proj.weight", matrix(d, 4)},
           {layer + "post_attention_layernorm.weight", at::randn({d}, at::kFloat)},
           {gate, matrix(neurons, d)},
           {up, matrix(neurons, d)},
           {layer + "mlp.down_proj.weight", matrix(d, neurons)}}};
}

inline Weights bound(const nlohmann::json& config, const Stored& stored, at::ScalarType type,
                     const WeightStore& store) {
  return bind_weights(describe_architecture(config, "memory"), config, stored.source(), at::TensorOptions(type), store);
}

}  // namespace tributary::testing::stored
