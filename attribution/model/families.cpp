// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/families.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "attribution/model/detail/config_reader.h"
#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

using detail::ConfigReader;
using nlohmann::json;

/// The config keys of the sizes; empty: the family has none.
struct SizeKeys {
  std::string layers = "num_hidden_layers";
  std::string d_model = "hidden_size";
  std::string heads = "num_attention_heads";
  std::string kv_heads = "num_key_value_heads";
  std::string neurons = "intermediate_size";
  std::string max_positions = "max_position_embeddings";
};

/// A boolean option that we compute with one value only; absent, it has that value.
struct RequiredValue {
  std::string key;
  bool value;
};

/// Which blocks see only the latest positions.
enum class Windows {
  none,         //!< no block, whatever the config holds
  every_block,  //!< all of them, `sliding_window` positions
  upper_blocks  //!< with `use_sliding_window`, those from `max_window_layers` on
};

/// A row of the table: where a family's weights lie, and what all of its blocks are made of.
struct FamilyRow {
  Family family;
  SizeKeys sizes{};
  std::int64_t neurons_per_d_model = 0;  //!< the number of neurons where the config does not say it; 0: it must
  NormKind norm = NormKind::rms;
  std::string epsilon_key = "rms_norm_eps";
  double default_epsilon = 1e-6;
  MlpKind mlp = MlpKind::gated;
  std::string activation_key = "hidden_act";
  std::string default_activation = "silu";
  bool learned_positions = false;  //!< else rotary ones
  Windows windows = Windows::none;
  bool tied_by_default = false;
  std::vector<RequiredValue> required_values{};
};

/// Which biases a family with Llama's tensor names has; nothing: none.
struct LlamaBiases {
  std::optional<Presence> qkv{}, output{}, mlp{};
};

std::vector<TensorRow> llama_tensors(const LlamaBiases& biases) {
  const std::string attention = "layers.{}.self_attn.";
  const std::string mlp = "layers.{}.mlp.";
  std::vector<TensorRow> rows = {
      {"embed_tokens.weight", {Slot::embedding}},
      {"norm.weight", {Slot::final_norm_weight}},
      {"lm_head.weight", {Slot::unembedding}},
      {"layers.{}.input_layernorm.weight", {Slot::attention_norm_weight}},
      {attention + "q_proj.weight", {Slot::query_weight}},
      {attention + "k_proj.weight", {Slot::key_weight}},
      {attention + "v_proj.weight", {Slot::value_weight}},
      {attention + "o_proj.weight", {Slot::output_weight}},
      {"layers.{}.post_attention_layernorm.weight", {Slot::mlp_norm_weight}},
      {mlp + "gate_proj.weight", {Slot::gate_weight}},
      {mlp + "up_proj.weight", {Slot::up_weight}},
      {mlp + "down_proj.weight", {Slot::down_weight}},
  };
  const auto add = [&rows](const std::string& name, Slot slot, const std::optional<Presence>& presence) {
    if (presence) rows.push_back({.name = name, .slots = {slot}, .presence = *presence});
  };
  add(attention + "q_proj.bias", Slot::query_bias, biases.qkv);
  add(attention + "k_proj.bias", Slot::key_bias, biases.qkv);
  add(attention + "v_proj.bias", Slot::value_bias, biases.qkv);
  add(attention + "o_proj.bias", Slot::output_bias, biases.output);
  add(mlp + "gate_proj.bias", Slot::gate_bias, biases.mlp);
  add(mlp + "up_proj.bias", Slot::up_bias, biases.mlp);
  add(mlp + "down_proj.bias", Slot::down_bias, biases.mlp);
  return rows;
}

std::vector<TensorRow> gpt2_tensors() {
  return {
      {"wte.weight", {Slot::embedding}},
      {"wpe.weight", {Slot::position_embedding}},
      {"ln_f.weight", {Slot::final_norm_weight}},
      {"ln_f.bias", {Slot::final_norm_bias}},
      {"lm_head.weight", {Slot::unembedding}},
      {"h.{}.ln_1.weight", {Slot::attention_norm_weight}},
      {"h.{}.ln_1.bias", {Slot::attention_norm_bias}},
      {"h.{}.attn.c_attn.weight", {Slot::query_weight, Slot::key_weight, Slot::value_weight}, Layout::conv1d},
      {"h.{}.attn.c_attn.bias", {Slot::query_bias, Slot::key_bias, Slot::value_bias}},
      {"h.{}.attn.c_proj.weight", {Slot::output_weight}, Layout::conv1d},
      {"h.{}.attn.c_proj.bias", {Slot::output_bias}},
      {"h.{}.ln_2.weight", {Slot::mlp_norm_weight}},
      {"h.{}.ln_2.bias", {Slot::mlp_norm_bias}},
      {"h.{}.mlp.c_fc.weight", {Slot::up_weight}, Layout::conv1d},
      {"h.{}.mlp.c_fc.bias", {Slot::up_bias}},
      {"h.{}.mlp.c_proj.weight", {Slot::down_weight}, Layout::conv1d},
      {"h.{}.mlp.c_proj.bias", {Slot::down_bias}},
  };
}

std::vector<FamilyRow> make_family_rows() {
  const std::vector<std::string> rotary_table = {"rotary_emb.inv_freq"};  // older checkpoints store it
  const std::vector<std::string> trunk = {"model."};                      // a trunk saved alone lacks it
  return {
      {.family = {.model_type = "llama",
                  .tensors = llama_tensors({.qkv = Presence{"attention_bias"},
                                            .output = Presence{"attention_bias"},
                                            .mlp = Presence{"mlp_bias"}}),
                  .prefixes = trunk,
                  .ignored = rotary_table}},
      {.family = {.model_type = "mistral", .tensors = llama_tensors({}), .prefixes = trunk, .ignored = rotary_table},
       .windows = Windows::every_block},
      {.family = {.model_type = "qwen2",
                  .tensors = llama_tensors({.qkv = Presence{}}),
                  .prefixes = trunk,
                  .ignored = rotary_table},
       .windows = Windows::upper_blocks},
      {.family = {.model_type = "gpt2",
                  .tensors = gpt2_tensors(),
                  .prefixes = {"transformer."},
                  .ignored = {".attn.bias", ".attn.masked_bias"}},
       .sizes = {.layers = "n_layer",
                 .d_model = "n_embd",
                 .heads = "n_head",
                 .kv_heads = "",
                 .neurons = "n_inner",
                 .max_positions = "n_positions"},
       .neurons_per_d_model = 4,
       .norm = NormKind::layer,
       .epsilon_key = "layer_norm_epsilon",
       .default_epsilon = 1e-5,
       .mlp = MlpKind::plain,
       .activation_key = "activation_function",
       .default_activation = "gelu_new",
       .learned_positions = true,
       .tied_by_default = true,
       .required_values = {{"scale_attn_weights", true}, {"scale_attn_by_inverse_layer_idx", false}}},
  };
}

const std::vector<FamilyRow>& family_rows() {
  static const std::vector<FamilyRow> rows = make_family_rows();
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
                             "' (its blocks are not described here); known ones: " + join(known_families()) +
                             "; docs/adding_a_family.md says how to describe another one");
}

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

/// How transformers 5 makes floating-point weights of quantised ones, by quant_method; of the others it does not.
std::string way_out_of(const std::string& method) {
  static const std::map<std::string, std::string> arguments = {{"fp8", "FineGrainedFP8Config"},
                                                               {"mxfp8", "FineGrainedFP8Config"},
                                                               {"mxfp4", "Mxfp4Config"},
                                                               {"metal", "MetalConfig"},
                                                               {"compressed-tensors", "CompressedTensorsConfig"}};
  const std::string load = ", or load this one with transformers";
  if (method == "bitsandbytes" || method == "higgs") return load + ", call dequantize() and save_pretrained";
  const auto found = arguments.find(method);
  if (found == arguments.end()) return "";
  return load + " (quantization_config=" + found->second + "(dequantize=True)) and call save_pretrained";
}

/// Weights that are stored in a packed form have other names, shapes and dtypes than those described here.
void refuse_quantised(const ConfigReader& config) {
  for (const std::string key : {"quantization_config", "compression_config"}) {
    const json* block = config.find(key);
    if (block == nullptr) continue;
    const json method = block->is_object() ? block->value("quant_method", json()) : json();
    const std::string name = method.is_string() ? method.get<std::string>() : "";
    config.fail(key, "says that the weights are quantised" + (name.empty() ? "" : " by " + name) +
                         ", and only floating-point ones can be read; take the model that it was made from" +
                         way_out_of(name));
  }
}

/// `layer_types` must say what the family does with all of its blocks alike.
void require_layer_types(const ConfigReader& config, const std::string& type) {
  const json* types = config.find("layer_types");
  if (types == nullptr) return;
  const bool alike = types->is_array() && std::all_of(types->begin(), types->end(), [&type](const json& one) {
                       return one.is_string() && one == type;
                     });
  if (!alike) {
    config.fail("layer_types", "does not say " + type +
                                   " of every layer, and blocks that differ in their attention "
                                   "are not described here");
  }
}

/// The positions that a query sees, its own included; nothing: all before it.
std::optional<std::int64_t> window_of(const FamilyRow& row, const ConfigReader& config, const Architecture& a) {
  constexpr std::int64_t default_window = 4096;  // transformers' own for these families
  const bool is_null = config.is_null("sliding_window");
  const std::int64_t size = is_null ? a.max_positions : config.size_or("sliding_window", default_window);
  const std::optional<std::int64_t> window = size < a.max_positions ? std::optional(size) : std::nullopt;
  if (row.windows == Windows::every_block) {
    require_layer_types(config, window ? "sliding_attention" : "full_attention");
    return window;
  }
  require_layer_types(config, "full_attention");
  if (row.windows == Windows::none || config.find("layer_types") != nullptr) return std::nullopt;
  constexpr std::int64_t default_layers = 28;
  if (config.boolean_or("use_sliding_window", false) && window &&
      config.count_or("max_window_layers", default_layers) < a.layers()) {
    config.fail("use_sliding_window",
                "is true, and 'max_window_layers' leaves blocks that see no further than 'sliding_window' while others "
                "see all; blocks that differ in their attention are not described here");
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> known_families() {
  std::vector<std::string> names;
  for (const FamilyRow& row : family_rows()) names.push_back(row.family.model_type);
  return names;
}

const Family& family_of(const json& config, const std::string& where) { return row_of(config, where).family; }

bool wants_tensor(const TensorRow& row, const json& config) {
  if (row.presence.key.empty()) return true;
  const auto found = config.find(row.presence.key);
  return found != config.end() && found->is_boolean() && found->get<bool>();
}

namespace {

/// The sizes of a model, the same in all of its blocks.
Architecture sizes_of(const FamilyRow& row, const ConfigReader& config) {
  const SizeKeys& keys = row.sizes;
  Architecture a;
  a.family = row.family.model_type;
  a.blocks.resize(static_cast<std::size_t>(config.size(keys.layers)));
  a.d_model = config.size(keys.d_model);
  a.heads = config.size(keys.heads);
  a.kv_heads = config.size_or(keys.kv_heads, a.heads);
  if (config.find("head_dim") == nullptr && a.d_model % a.heads != 0) {
    config.fail(keys.heads, "does not divide " + keys.d_model + ", and there is no head_dim");
  }
  a.d_head = config.size_or("head_dim", a.d_model / a.heads);
  a.neurons = row.neurons_per_d_model != 0 ? config.size_or(keys.neurons, row.neurons_per_d_model * a.d_model)
                                           : config.size(keys.neurons);
  a.vocabulary = config.size("vocab_size");
  a.max_positions = config.size(keys.max_positions);
  if (a.heads % a.kv_heads != 0) config.fail(keys.kv_heads, "must divide the number of heads");
  return a;
}

}  // namespace

Architecture describe_architecture(const json& json_config, const std::string& where) {
  const FamilyRow& row = row_of(json_config, where);
  const ConfigReader config(json_config, where);

  refuse_quantised(config);
  for (const TensorRow& tensor : row.family.tensors) {
    if (!tensor.presence.key.empty()) (void)config.boolean_or(tensor.presence.key, false);  // a word is no boolean
  }
  for (const auto& [key, value] : row.required_values) {
    if (config.boolean_or(key, value) != value) {
      config.fail(key, std::string("is ") + (value ? "false" : "true") + ", which we do not compute (only " +
                           (value ? "true" : "false") + ")");
    }
  }
  Architecture a = sizes_of(row, config);
  BlockSpec block;
  block.attention_norm = {row.norm, config.number_or(row.epsilon_key, row.default_epsilon)};
  block.mlp_norm = a.final_norm = block.attention_norm;
  block.mlp = {row.mlp, activation_named(config, row.activation_key, row.default_activation)};
  block.attention.scale = 1 / std::sqrt(static_cast<double>(a.d_head));
  a.learned_positions = row.learned_positions;
  if (!row.learned_positions) {
    if (a.d_head % 2 != 0) config.fail("head_dim", "must be even for rotary positions");
    a.rotaries = {detail::rotary_of(config)};
    block.attention.rotary = 0;
  }
  block.attention.window = window_of(row, config, a);
  std::fill(a.blocks.begin(), a.blocks.end(), block);  // these families' blocks are all alike
  a.tied_embeddings = config.boolean_or("tie_word_embeddings", row.tied_by_default);
  return a;
}

}  // namespace tributary
