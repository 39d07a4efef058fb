// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "attribution/model/detail/config_reader.h"
#include "attribution/model/detail/family_row.h"
#include "common/errors.h"
#include "common/text.h"

namespace tributary {
namespace {

using detail::ConfigReader;
using detail::FamilyRow;
using detail::Norms;
using detail::Windows;
using nlohmann::json;

/// Of a model that reads pictures too: what its config says of the text model, which is what we compute.
json text_part(const json& config) {
  const auto part = config.find("text_config");
  if (!config.is_object() || part == config.end() || !part->is_object()) return config;
  const json outer = config.value("model_type", json());  // a family of text models reads no text_config
  const auto& rows = detail::family_rows();
  if (std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.family.model_type == outer; })) {
    return config;
  }
  json text = *part;
  if (config.value("model_type", json()) == "gemma3") text["model_type"] = "gemma3_text";
  for (const char* key : {"tie_word_embeddings", "quantization_config", "compression_config"}) {
    if (config.contains(key)) text[key] = config[key];
  }
  return text;
}

const FamilyRow& row_of(const json& config, const std::string& where) {
  const json text = text_part(config);
  const auto type = text.find("model_type");
  if (!config.is_object() || type == text.end() || !type->is_string()) {
    throw UserError(where, "no model_type (it names the architecture); known ones: " + join(known_families()));
  }
  for (const FamilyRow& row : detail::family_rows()) {
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
      {"gelu_python", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"gelu_accurate", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_python_tanh", Activation::gelu_tanh},
      {"quick_gelu", Activation::gelu_quick},
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

/// Keys by which transformers computes something else whatever the family.
void refuse_foreign_keys(const json& whole, const ConfigReader& config) {
  static const std::map<std::string, std::string> elsewhere = {
      {"configuration_files",
       "names a config for each version of transformers, which takes that file in place of this"},
      {"transformers_weights", "names the file that transformers reads weights from, in place of those here"},
      {"per_layer_config", "gives single layers a config of their own, which we do not compute"}};
  for (const auto& [key, why] : elsewhere) {
    for (const json& place : {whole, text_part(whole)}) {
      const auto found = place.find(key);
      if (found != place.end() && !found->is_null() && !found->empty()) config.fail(key, why);
    }
  }
  if (!config.boolean_or("is_causal", true)) {
    config.fail("is_causal", "is false: every position then sees all others, which we do not compute");
  }
}

/// What `layer_types` says of each block: whether it sees a window only. Nothing where the config has no such key.
std::optional<std::vector<bool>> layer_types_of(const ConfigReader& config, std::int64_t layers) {
  const json* types = config.find("layer_types");
  if (types == nullptr) return std::nullopt;
  if (!types->is_array() || std::ssize(*types) != layers) {
    config.fail("layer_types", "must be a list with a word for each of the " + std::to_string(layers) + " layers");
  }
  std::vector<bool> sliding;
  for (const json& type : *types) {
    if (type != detail::full_attention && type != detail::sliding_attention) {
      config.fail("layer_types", "has " + type.dump() + ", a kind of layer that is not described here; known ones: " +
                                     join({detail::full_attention, detail::sliding_attention}));
    }
    sliding.push_back(type == detail::sliding_attention);
  }
  return sliding;
}

/// Which blocks have rotary positions.
std::vector<bool> turning_blocks(const FamilyRow& row, const ConfigReader& config, std::int64_t layers) {
  std::vector<bool> turning(static_cast<std::size_t>(layers), !row.learned_positions);
  if (row.no_rotary_key.empty()) return turning;
  const json* list = config.find(row.no_rotary_key);
  if (list == nullptr) {
    const std::int64_t interval = config.size(row.no_rotary_interval);
    for (std::int64_t i = 0; i < layers; ++i) turning[static_cast<std::size_t>(i)] = (i + 1) % interval != 0;
    return turning;
  }
  if (!list->is_array() || std::ssize(*list) != layers) {
    config.fail(row.no_rotary_key, "must be a list with a number for each of the " + std::to_string(layers) +
                                       " layers, 0 for those without rotary positions");
  }
  for (std::size_t i = 0; i < turning.size(); ++i) {
    const json& one = (*list)[i];
    if (one != 0 && one != 1) config.fail(row.no_rotary_key, "holds " + one.dump() + ", which is neither 0 nor 1");
    turning[i] = one == 1;
  }
  return turning;
}

/// Which blocks see a window only.
std::vector<bool> sliding_blocks(const FamilyRow& row, const ConfigReader& config, const std::vector<bool>& turning) {
  const Windows& windows = row.windows;
  const auto layers = static_cast<std::int64_t>(turning.size());
  const std::optional<std::vector<bool>> types = layer_types_of(config, layers);
  std::vector<bool> sliding(turning.size(), false);
  const bool on = windows.rule != Windows::Rule::none &&
                  (!windows.switched || config.boolean_or("use_sliding_window", false)) &&
                  (windows.rule != Windows::Rule::every_block || config.find("sliding_window") != nullptr);
  if (!on) {
    if (types && std::find(types->begin(), types->end(), true) != types->end()) {
      config.fail("layer_types", "names layers of sliding attention, and the rest of config.json gives " +
                                     row.family.model_type + " models none; correct the one or the other");
    }
    return sliding;
  }
  if (types && windows.reads_layer_types) return *types;
  for (std::int64_t i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    switch (windows.rule) {
      case Windows::Rule::none:
        break;
      case Windows::Rule::every_block:
        sliding[at] = true;
        break;
      case Windows::Rule::upper:
        sliding[at] = i >= config.count_or("max_window_layers", 0);
        break;
      case Windows::Rule::pattern:
        sliding[at] = (i + 1) % (windows.pattern_key.empty() ? windows.pattern
                                                             : config.size_or(windows.pattern_key, windows.pattern)) !=
                      0;
        break;
      case Windows::Rule::no_rotary:
        sliding[at] = !turning[at];
        break;
    }
  }
  if (types && *types != sliding) {
    config.fail("layer_types", "does not say of each layer what " + row.family.model_type +
                                   " models do, which do not read it; correct it");
  }
  return sliding;
}

/// The positions that a query of a sliding block sees, its own included; nothing: all before it.
std::optional<std::int64_t> window_of(const ConfigReader& config, const Architecture& a) {
  const std::int64_t size = config.size_or("sliding_window", a.max_positions);
  return size < a.max_positions ? std::optional(size) : std::nullopt;
}

/// A cap that may be missing or null, and is above 0 otherwise.
std::optional<double> softcap_of(const ConfigReader& config, const std::string& key) {
  if (key.empty() || config.find(key) == nullptr) return std::nullopt;
  const double cap = config.number_or(key, 0);
  if (!(cap > 0)) config.fail(key, "must be above 0");
  return cap;
}

/// The factor of a key, 1 where the family has none.
double multiplier_of(const ConfigReader& config, const std::string& key) {
  return key.empty() ? 1.0 : config.number_or(key, 1.0);
}

}  // namespace

std::vector<std::string> known_families() {
  std::vector<std::string> names;
  for (const FamilyRow& row : detail::family_rows()) names.push_back(row.family.model_type);
  return names;
}

const Family& family_of(const json& config, const std::string& where) { return row_of(config, where).family; }

bool wants_tensor(const TensorRow& row, const json& config) {
  if (row.presence.key.empty()) return true;
  const json text = text_part(config);
  const auto found = text.find(row.presence.key);
  return found != text.end() && found->is_boolean() ? found->get<bool>() : row.presence.fallback;
}

namespace {

/// The sizes of a model, the same in all of its blocks.
Architecture sizes_of(const FamilyRow& row, const ConfigReader& config) {
  constexpr std::int64_t most_layers = 1 << 16;  // far beyond any model: a damaged number takes no memory
  const detail::SizeKeys& keys = row.sizes;
  Architecture a;
  a.family = row.family.model_type;
  const std::int64_t layers = config.size(keys.layers);
  if (layers > most_layers) config.fail(keys.layers, fmt::format("is {}; no model has so many layers", layers));
  a.blocks.resize(static_cast<std::size_t>(layers));
  a.d_model = config.size(keys.d_model);
  a.heads = config.size(keys.heads);
  a.kv_heads = config.size_or(keys.kv_heads, a.heads);
  const bool has_width = !keys.d_head.empty() && config.find(keys.d_head) != nullptr;
  if (!has_width && a.d_model % a.heads != 0) {
    config.fail(keys.heads, "does not divide " + keys.d_model + ", and there is no head_dim");
  }
  a.d_head = config.size_or(keys.d_head, a.d_model / a.heads);
  a.neurons = row.neurons_per_d_model != 0 ? config.size_or(keys.neurons, row.neurons_per_d_model * a.d_model)
                                           : config.size(keys.neurons);
  a.vocabulary = config.size("vocab_size");
  a.max_positions = config.size(keys.max_positions);
  if (a.heads % a.kv_heads != 0) config.fail(keys.kv_heads, "must divide the number of heads");
  return a;
}

/// What all blocks have alike, but for windows and rotary positions.
BlockSpec block_of(const FamilyRow& row, const ConfigReader& config, const Architecture& a) {
  BlockSpec block;
  const NormSpec norm{row.norm, config.number_or(row.epsilon_key, row.default_epsilon), row.gain_offset};
  const NormSpec none{NormKind::none};
  block.attention_norm = block.mlp_norm = row.norms != Norms::after ? norm : none;
  block.attention_post_norm = block.mlp_post_norm = row.norms != Norms::before ? norm : none;
  block.attention.query_key_norm = row.query_key_norm;
  block.attention.query_key = norm;
  const double divisor = row.scales.head_scalar.empty()
                             ? static_cast<double>(a.d_head)
                             : config.number_or(row.scales.head_scalar, static_cast<double>(a.d_head));
  if (!(divisor > 0)) config.fail(row.scales.head_scalar, "must be above 0");
  block.attention.scale =
      row.scales.attention.empty() ? 1 / std::sqrt(divisor) : multiplier_of(config, row.scales.attention);
  block.attention.softcap = softcap_of(config, row.scales.attention_softcap);
  block.mlp = {row.mlp, activation_named(config, row.activation_key, row.default_activation)};
  const bool word_is_gelu = config.word_or(row.activation_key, row.default_activation) == "gelu";
  if (row.gelu_is_tanh && word_is_gelu) block.mlp.activation = Activation::gelu_tanh;
  block.multiplier = multiplier_of(config, row.scales.residual);
  if (!row.parallel_key.empty() && config.boolean_or(row.parallel_key, false)) block.residual = Residual::parallel;
  return block;
}

/// Windows and rotary positions, block by block.
void describe_positions(const FamilyRow& row, const ConfigReader& config, Architecture& a) {
  a.learned_positions = row.learned_positions;
  const std::vector<bool> turning = turning_blocks(row, config, a.layers());
  const std::vector<bool> sliding = sliding_blocks(row, config, turning);
  if (!row.learned_positions) {
    a.rotaries = {detail::rotary_of(config, row.rotary, detail::full_attention)};
    if (row.rotary.sliding) a.rotaries.push_back(detail::rotary_of(config, row.rotary, detail::sliding_attention));
    for (const Rotary& rotary : a.rotaries) {
      if (rotary.dims == 0 && a.d_head % 2 != 0) config.fail("head_dim", "must be even for rotary positions");
      // Dynamic scaling acts beyond the positions that the config counts, and serves `factor` times as many.
      if (rotary.scaling == RotaryScaling::dynamic) {
        const double stretched = rotary.factor * static_cast<double>(rotary.original_positions);
        a.max_positions = std::max(a.max_positions, static_cast<std::int64_t>(std::min(stretched, 1e15)));
      }
    }
  }
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    AttentionSpec& attention = a.blocks[i].attention;
    if (turning[i]) attention.rotary = sliding[i] && row.rotary.sliding ? 1 : 0;
    if (sliding[i]) attention.window = window_of(config, a);
  }
}

}  // namespace

Architecture describe_architecture(const json& json_config, const std::string& where) {
  const FamilyRow& row = row_of(json_config, where);
  json complete = row.defaults;
  complete.update(text_part(json_config));
  for (const auto& [general, own] : row.general_names) {
    if (complete.contains(general)) complete[own] = complete[general];
  }
  const ConfigReader config(complete, where);

  refuse_quantised(config);
  refuse_foreign_keys(json_config, config);
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
  std::fill(a.blocks.begin(), a.blocks.end(), block_of(row, config, a));
  describe_positions(row, config, a);
  a.final_norm = {row.norm, config.number_or(row.epsilon_key, row.default_epsilon), row.gain_offset};
  a.embedding_multiplier = multiplier_of(config, row.scales.embedding);
  if (row.scales.embedding_by_width) {  // kept in the network's dtype
    a.embedding_multiplier = std::sqrt(static_cast<double>(a.d_model));
    a.embedding_multiplier_precision = Architecture::Precision::network;
  }
  const double divisor = multiplier_of(config, row.scales.logit_divisor);
  if (divisor == 0) config.fail(row.scales.logit_divisor, "must not be 0");
  a.logit_multiplier = 1 / divisor;
  a.logit_softcap = softcap_of(config, row.scales.logit_softcap);
  a.tied_embeddings = config.boolean_or("tie_word_embeddings", row.tied_by_default);
  return a;
}

}  // namespace tributary
