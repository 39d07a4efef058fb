// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/families.h"

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

using nlohmann::json;

/// What differs between families besides tensor names: blocks, and the config keys of the sizes.
struct Blocks {
  NormKind norm;
  MlpKind mlp;
  PositionKind positions;
  std::string layers, d_model, heads, kv_heads, neurons, max_positions, epsilon, activation;
  std::string default_activation;
  bool tied_by_default;
  bool sliding_window;                                        //!< the family reads sliding_window
  std::vector<std::pair<std::string, bool>> required_values;  //!< boolean options we compute with one value only
};

struct FamilyRow {
  Family family;
  Blocks blocks;
};

std::vector<TensorRow> llama_tensors(const std::string& qkv_bias, const std::string& o_bias,
                                     const std::string& mlp_bias) {
  const std::string attention = "model.layers.{}.self_attn.";
  const std::string mlp = "model.layers.{}.mlp.";
  std::vector<TensorRow> rows = {
      {Slot::embedding, "model.embed_tokens.weight"},
      {Slot::final_norm_weight, "model.norm.weight"},
      {Slot::unembedding, "lm_head.weight"},
      {Slot::attention_norm_weight, "model.layers.{}.input_layernorm.weight"},
      {Slot::query_weight, attention + "q_proj.weight"},
      {Slot::key_weight, attention + "k_proj.weight"},
      {Slot::value_weight, attention + "v_proj.weight"},
      {Slot::output_weight, attention + "o_proj.weight"},
      {Slot::mlp_norm_weight, "model.layers.{}.post_attention_layernorm.weight"},
      {Slot::gate_weight, mlp + "gate_proj.weight"},
      {Slot::up_weight, mlp + "up_proj.weight"},
      {Slot::down_weight, mlp + "down_proj.weight"},
  };
  const auto add_bias = [&rows](Slot slot, const std::string& name, const std::string& only_if) {
    if (only_if != "never") rows.push_back({slot, name, Layout::linear, 0, 1, only_if});
  };
  add_bias(Slot::query_bias, attention + "q_proj.bias", qkv_bias);
  add_bias(Slot::key_bias, attention + "k_proj.bias", qkv_bias);
  add_bias(Slot::value_bias, attention + "v_proj.bias", qkv_bias);
  add_bias(Slot::output_bias, attention + "o_proj.bias", o_bias);
  add_bias(Slot::gate_bias, mlp + "gate_proj.bias", mlp_bias);
  add_bias(Slot::up_bias, mlp + "up_proj.bias", mlp_bias);
  add_bias(Slot::down_bias, mlp + "down_proj.bias", mlp_bias);
  return rows;
}

std::vector<TensorRow> gpt2_tensors() {
  return {
      {Slot::embedding, "wte.weight"},
      {Slot::position_embedding, "wpe.weight"},
      {Slot::final_norm_weight, "ln_f.weight"},
      {Slot::final_norm_bias, "ln_f.bias"},
      {Slot::unembedding, "lm_head.weight"},
      {Slot::attention_norm_weight, "h.{}.ln_1.weight"},
      {Slot::attention_norm_bias, "h.{}.ln_1.bias"},
      {Slot::query_weight, "h.{}.attn.c_attn.weight", Layout::conv1d, 0, 3},
      {Slot::query_bias, "h.{}.attn.c_attn.bias", Layout::linear, 0, 3},
      {Slot::key_weight, "h.{}.attn.c_attn.weight", Layout::conv1d, 1, 3},
      {Slot::key_bias, "h.{}.attn.c_attn.bias", Layout::linear, 1, 3},
      {Slot::value_weight, "h.{}.attn.c_attn.weight", Layout::conv1d, 2, 3},
      {Slot::value_bias, "h.{}.attn.c_attn.bias", Layout::linear, 2, 3},
      {Slot::output_weight, "h.{}.attn.c_proj.weight", Layout::conv1d},
      {Slot::output_bias, "h.{}.attn.c_proj.bias"},
      {Slot::mlp_norm_weight, "h.{}.ln_2.weight"},
      {Slot::mlp_norm_bias, "h.{}.ln_2.bias"},
      {Slot::up_weight, "h.{}.mlp.c_fc.weight", Layout::conv1d},
      {Slot::up_bias, "h.{}.mlp.c_fc.bias"},
      {Slot::down_weight, "h.{}.mlp.c_proj.weight", Layout::conv1d},
      {Slot::down_bias, "h.{}.mlp.c_proj.bias"},
  };
}

Blocks llama_blocks(bool sliding_window) {
  return {NormKind::rms,
          MlpKind::gated,
          PositionKind::rotary,
          "num_hidden_layers",
          "hidden_size",
          "num_attention_heads",
          "num_key_value_heads",
          "intermediate_size",
          "max_position_embeddings",
          "rms_norm_eps",
          "hidden_act",
          "silu",
          false,
          sliding_window,
          {}};
}

const std::vector<FamilyRow>& family_rows() {
  static const std::vector<FamilyRow> rows = {
      {{"llama", llama_tensors("attention_bias", "attention_bias", "mlp_bias"), {}, {"rotary_emb.inv_freq"}},
       llama_blocks(false)},
      {{"mistral", llama_tensors("never", "never", "never"), {}, {"rotary_emb.inv_freq"}}, llama_blocks(true)},
      {{"qwen2", llama_tensors("", "never", "never"), {}, {"rotary_emb.inv_freq"}},
       [] {
         Blocks blocks = llama_blocks(false);
         blocks.required_values = {{"use_sliding_window", false}};
         return blocks;
       }()},
      {{"gpt2", gpt2_tensors(), {"transformer."}, {".attn.bias", ".attn.masked_bias"}},
       {NormKind::layer,
        MlpKind::plain,
        PositionKind::learned,
        "n_layer",
        "n_embd",
        "n_head",
        "",
        "n_inner",
        "n_positions",
        "layer_norm_epsilon",
        "activation_function",
        "gelu_new",
        true,
        false,
        {{"scale_attn_weights", true}, {"scale_attn_by_inverse_layer_idx", false}}}},
  };
  return rows;
}

const FamilyRow& row_of(const json& config, const std::string& where) {
  const auto type = config.find("model_type");
  if (!config.is_object() || type == config.end() || !type->is_string()) {
    throw UserError(where, "no model_type (it names the architecture); known ones: " + join(known_families()));
  }
  for (const FamilyRow& row : family_rows()) {
    if (row.family.model_type == type->get<std::string>()) return row;
  }
  throw UserError(where, "unknown architecture '" + type->get<std::string>() +
                             "' (its blocks are not described here); known ones: " + join(known_families()));
}

/// Typed look-ups in a config.json that name the file and key when something is wrong.
class ConfigReader {
 public:
  ConfigReader(const json& config, std::string where) : config_(config), where_(std::move(where)) {}

  [[nodiscard]] const json* find(const std::string& key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] std::int64_t size(const std::string& key) const {
    const json* value = find(key);
    if (value == nullptr) fail(key, "is missing (the model's shape needs it)");
    if (!value->is_number_integer() || value->get<std::int64_t>() <= 0 || value->get<std::int64_t>() > (1LL << 31)) {
      fail(key, "must be a positive whole number, not " + value->dump());
    }
    return value->get<std::int64_t>();
  }
  [[nodiscard]] std::int64_t size_or(const std::string& key, std::int64_t fallback) const {
    return key.empty() || find(key) == nullptr ? fallback : size(key);
  }
  [[nodiscard]] double number_or(const std::string& key, double fallback) const {
    const json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number()) fail(key, "must be a number, not " + value->dump());
    return value->get<double>();
  }
  [[nodiscard]] bool boolean_or(const std::string& key, bool fallback) const {
    const json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) fail(key, "must be true or false, not " + value->dump());
    return value->get<bool>();
  }
  [[nodiscard]] std::string word_or(const std::string& key, const std::string& fallback) const {
    const json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) fail(key, "must be a string, not " + value->dump());
    return value->get<std::string>();
  }
  [[noreturn]] void fail(const std::string& key, const std::string& text) const {
    throw UserError(where_, "'" + key + "' " + text);
  }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  const json& config_;
  std::string where_;
};

Activation activation_named(const ConfigReader& config, const std::string& key, const std::string& fallback) {
  static const std::map<std::string, Activation> names = {
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"gelu", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"relu", Activation::relu},
  };
  const std::string name = config.word_or(key, fallback);
  const auto found = names.find(name);
  if (found == names.end()) {
    std::vector<std::string> known;
    for (const auto& [word, activation] : names) known.push_back(word);
    config.fail(key, "is '" + name + "', an activation we do not compute; known ones: " + join(known));
  }
  return found->second;
}

/// transformers 5 writes rope_parameters {rope_theta, rope_type, …}; older folders rope_theta and rope_scaling.
Rotary rotary_of(const ConfigReader& config) {
  Rotary rotary;
  rotary.theta = config.number_or("rope_theta", 10000.0);
  for (const std::string key : {"rope_scaling", "rope_parameters"}) {
    const json* block = config.find(key);
    if (block == nullptr) continue;
    if (!block->is_object()) config.fail(key, "must be an object, not " + block->dump());
    const ConfigReader inner(*block, config.where() + ": " + key);
    rotary.theta = inner.number_or("rope_theta", rotary.theta);
    const std::string type = inner.word_or("rope_type", inner.word_or("type", "default"));
    if (type == "default") continue;
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
  }
  if (!(rotary.theta > 0)) config.fail("rope_theta", "must be above 0");
  return rotary;
}

}  // namespace

std::vector<std::string> known_families() {
  std::vector<std::string> names;
  for (const FamilyRow& row : family_rows()) names.push_back(row.family.model_type);
  return names;
}

const Family& family_of(const json& config, const std::string& where) { return row_of(config, where).family; }

bool wants_tensor(const TensorRow& row, const json& config) {
  if (row.only_if.empty()) return true;
  const auto found = config.find(row.only_if);
  return found != config.end() && found->is_boolean() && found->get<bool>();
}

Architecture describe_architecture(const json& json_config, const std::string& where) {
  const FamilyRow& row = row_of(json_config, where);
  const Blocks& blocks = row.blocks;
  const ConfigReader config(json_config, where);

  for (const auto& [key, value] : blocks.required_values) {
    if (config.boolean_or(key, value) != value) {
      config.fail(key, std::string("is ") + (value ? "false" : "true") + ", which we do not compute (only " +
                           (value ? "true" : "false") + ")");
    }
  }
  Architecture a;
  a.family = row.family.model_type;
  a.layers = config.size(blocks.layers);
  a.d_model = config.size(blocks.d_model);
  a.heads = config.size(blocks.heads);
  a.kv_heads = config.size_or(blocks.kv_heads, a.heads);
  if (config.find("head_dim") == nullptr && a.d_model % a.heads != 0) {
    config.fail(blocks.heads, "does not divide " + blocks.d_model + ", and there is no head_dim");
  }
  a.d_head = config.size_or("head_dim", a.d_model / a.heads);
  a.neurons = blocks.neurons == "n_inner" ? config.size_or("n_inner", 4 * a.d_model) : config.size(blocks.neurons);
  a.vocabulary = config.size("vocab_size");
  a.max_positions = config.size(blocks.max_positions);
  if (a.heads % a.kv_heads != 0) config.fail(blocks.kv_heads, "must divide the number of heads");
  a.norm = blocks.norm;
  a.norm_epsilon = config.number_or(blocks.epsilon, blocks.norm == NormKind::rms ? 1e-6 : 1e-5);
  a.mlp = blocks.mlp;
  a.activation = activation_named(config, blocks.activation, blocks.default_activation);
  a.positions = blocks.positions;
  if (a.positions == PositionKind::rotary) {
    if (a.d_head % 2 != 0) config.fail("head_dim", "must be even for rotary positions");
    a.rotary = rotary_of(config);
  }
  if (blocks.sliding_window && config.find("sliding_window") != nullptr)
    a.sliding_window = config.size("sliding_window");
  a.tied_embeddings = config.boolean_or("tie_word_embeddings", blocks.tied_by_default);
  return a;
}

}  // namespace tributary
