// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The model families we know, each a description: which config.json keys hold the sizes, which
// tensors hold the weights, and what its blocks are made of. A new family is a new row in families.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "attribution/model/architecture.h"

namespace tributary {

/// What a weight is for. Slots before layer_slots_begin occur once in a model, the others once a layer.
enum class Slot {
  embedding,           // [vocabulary, d_model]
  position_embedding,  // [max_positions, d_model]
  final_norm_weight,
  final_norm_bias,
  unembedding,  // [vocabulary, d_model]
  attention_norm_weight,
  attention_norm_bias,
  attention_post_norm_weight,
  query_norm_weight,  // [d_head], or of the full width [heads * d_head]
  key_norm_weight,    // [d_head] or [kv_heads * d_head]
  query_weight,       // [heads * d_head, d_model]
  query_bias,
  key_weight,  // [kv_heads * d_head, d_model]
  key_bias,
  value_weight,
  value_bias,
  output_weight,  // [d_model, heads * d_head]
  output_bias,
  mlp_norm_weight,
  mlp_norm_bias,
  mlp_post_norm_weight,
  gate_weight,  // [neurons, d_model]; gated MLPs only
  gate_bias,
  up_weight,  // [neurons, d_model]; the one input matrix of a plain MLP
  up_bias,
  down_weight,  // [d_model, neurons]
  down_bias,
};
inline constexpr Slot layer_slots_begin = Slot::attention_norm_weight;

/// How a stored matrix or bias lies: as torch.nn.Linear has it [out, in], as GPT-2's Conv1D [in, out], or with the rows
/// of queries, keys and values of each head together [heads, 3, d_head, in].
enum class Layout { linear, conv1d, by_head };

/// Whether a checkpoint stores a tensor: in every model of the family, or only where a boolean config key is true (and
/// then in all of them).
struct Presence {
  std::string key{};      //!< the config key; empty: always
  bool fallback = false;  //!< what a config without the key says
};

/// One stored tensor: the slots that it holds, one above the other along its output dimension.
struct TensorRow {
  std::string name;  //!< with {} for the layer
  std::vector<Slot> slots;
  Layout layout = Layout::linear;
  Presence presence{};
};

struct Family {
  std::string model_type;  //!< config.json's model_type
  std::vector<TensorRow> tensors;
  std::vector<std::string> prefixes{};  //!< prefixes that a checkpoint may put before every name; "" is always tried
  std::vector<std::string> ignored{};   //!< endings of stored names that carry no weights (masks, tables)
  std::vector<std::string> ignored_parts{};  //!< parts of stored names that belong to other models of the same folder
};

/// Names of the families, in table order, for messages.
std::vector<std::string> known_families();

/// The row of a config.json's model_type; of a model of several kinds of input, of its text part. Throws UserError
/// listing the known ones when it is none of them.
const Family& family_of(const nlohmann::json& config, const std::string& where);

/// Reads the sizes and choices of a config.json. `where` names the file in messages.
/// Throws UserError: unknown family, a key missing or of the wrong type, sizes that do not fit each other, an
/// activation, rotary scaling or option that we do not compute.
Architecture describe_architecture(const nlohmann::json& config, const std::string& where);

/// Whether a model with this config stores the tensor.
bool wants_tensor(const TensorRow& row, const nlohmann::json& config);

}  // namespace tributary
