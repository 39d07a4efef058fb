// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A model family as data: what config.json's keys mean, where its weights lie, what its blocks are made of. The rows
// are in family_rows.cpp; families.cpp reads a config.json by them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "attribution/model/architecture.h"
#include "attribution/model/detail/config_reader.h"
#include "attribution/model/families.h"

namespace tributary::detail {

/// The config keys of the sizes; empty: the family has none.
struct SizeKeys {
  std::string layers = "num_hidden_layers";
  std::string d_model = "hidden_size";
  std::string heads = "num_attention_heads";
  std::string kv_heads = "num_key_value_heads";
  std::string neurons = "intermediate_size";
  std::string max_positions = "max_position_embeddings";
  std::string d_head = "head_dim";
};

/// A boolean option that we compute with one value only; absent, it has that value.
struct RequiredValue {
  std::string key;
  bool value;
};

/// Which blocks see only the latest `sliding_window` positions.
struct Windows {
  enum class Rule {
    none,         //!< no block, whatever the config holds
    every_block,  //!< all of them
    upper,        //!< those from `max_window_layers` on
    pattern,      //!< all but every n-th
    no_rotary     //!< those without rotary positions
  } rule = Rule::none;
  bool switched = false;          //!< only where `use_sliding_window` is true
  std::string pattern_key{};      //!< pattern: the key of n; empty: it has none
  std::int64_t pattern = 0;       //!< pattern: n where the config does not say it
  bool reads_layer_types = true;  //!< layer_types, where it is given, says it instead
};

/// Where a family's blocks have norms: before attention and MLP, after them, or both.
enum class Norms { before, around, after };

/// The config keys of multipliers and caps; empty: the family has none.
struct ScaleKeys {
  std::string embedding{}, residual{}, attention{};
  std::string logit_divisor{};
  std::string head_scalar{};  //!< attention scores are divided by its square root, instead of the head's width's
  std::string attention_softcap{}, logit_softcap{};
  bool embedding_by_width = false;  //!< embeddings are multiplied by the square root of d_model
};

struct FamilyRow {
  Family family;
  SizeKeys sizes{};
  /// What the family's class takes where config.json has no such key; a key that holds null stays null.
  nlohmann::json defaults = nlohmann::json::object();
  /// General names of keys that the family has its own names for: where a config.json has both, the general one counts.
  std::map<std::string, std::string> general_names{};
  std::int64_t neurons_per_d_model = 0;  //!< the number of neurons where the config does not say it; 0: it must
  NormKind norm = NormKind::rms;
  Norms norms = Norms::before;
  double gain_offset = 0;
  std::string epsilon_key = "rms_norm_eps";
  double default_epsilon = 1e-6;
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  MlpKind mlp = MlpKind::gated;
  std::string activation_key = "hidden_act";
  std::string default_activation = "silu";
  bool gelu_is_tanh = false;       //!< "gelu" names the tanh approximation
  bool learned_positions = false;  //!< else rotary ones
  RotaryKeys rotary{};
  std::string no_rotary_key{};       //!< a list, 0 for blocks without rotary positions; empty: all have them
  std::string no_rotary_interval{};  //!< without that list, every n-th has none: the key of n
  Windows windows{};
  std::string parallel_key{};  //!< true: attention and MLP read the same stream; empty: never
  ScaleKeys scales{};
  bool tied_by_default = false;
  std::vector<RequiredValue> required_values{};
};

const std::vector<FamilyRow>& family_rows();

}  // namespace tributary::detail
