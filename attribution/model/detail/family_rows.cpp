// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What each family's class in transformers 5 does with its config.json and its tensors (modeling_<family>.py and
// configuration_<family>.py), as rows.
#include <utility>

#include "attribution/model/detail/family_row.h"

namespace tributary::detail {
namespace {

/// What families with Llama's tensor names differ in.
struct LlamaTensors {
  std::optional<Presence> qkv_bias{}, output_bias{}, mlp_bias{};  //!< nothing: none
  Norms norms = Norms::before;
  bool query_key_norms = false;
  bool fused = false;  //!< queries, keys and values are one tensor, gate and up another
};

std::vector<TensorRow> llama_tensors(const LlamaTensors& form) {
  const std::string layer = "layers.{}.";
  const std::string attention = layer + "self_attn.";
  const std::string mlp = layer + "mlp.";
  std::vector<TensorRow> rows = {
      {"embed_tokens.weight", {Slot::embedding}},      {"norm.weight", {Slot::final_norm_weight}},
      {"lm_head.weight", {Slot::unembedding}},         {attention + "o_proj.weight", {Slot::output_weight}},
      {mlp + "down_proj.weight", {Slot::down_weight}},
  };
  const auto add = [&rows](const std::string& name, std::vector<Slot> slots, Presence presence = {}) {
    rows.push_back({.name = name, .slots = std::move(slots), .presence = std::move(presence)});
  };
  if (form.norms != Norms::after) add(layer + "input_layernorm.weight", {Slot::attention_norm_weight});
  if (form.norms == Norms::before) {
    add(layer + "post_attention_layernorm.weight", {Slot::mlp_norm_weight});
  } else {
    add(layer + "post_attention_layernorm.weight", {Slot::attention_post_norm_weight});
    add(layer + "post_feedforward_layernorm.weight", {Slot::mlp_post_norm_weight});
  }
  if (form.norms == Norms::around) add(layer + "pre_feedforward_layernorm.weight", {Slot::mlp_norm_weight});
  if (form.query_key_norms) {
    add(attention + "q_norm.weight", {Slot::query_norm_weight});
    add(attention + "k_norm.weight", {Slot::key_norm_weight});
  }
  if (form.fused) {
    add(attention + "qkv_proj.weight", {Slot::query_weight, Slot::key_weight, Slot::value_weight});
    add(mlp + "gate_up_proj.weight", {Slot::gate_weight, Slot::up_weight});
    return rows;
  }
  add(attention + "q_proj.weight", {Slot::query_weight});
  add(attention + "k_proj.weight", {Slot::key_weight});
  add(attention + "v_proj.weight", {Slot::value_weight});
  add(mlp + "gate_proj.weight", {Slot::gate_weight});
  add(mlp + "up_proj.weight", {Slot::up_weight});
  if (form.qkv_bias) {
    add(attention + "q_proj.bias", {Slot::query_bias}, *form.qkv_bias);
    add(attention + "k_proj.bias", {Slot::key_bias}, *form.qkv_bias);
    add(attention + "v_proj.bias", {Slot::value_bias}, *form.qkv_bias);
  }
  if (form.output_bias) add(attention + "o_proj.bias", {Slot::output_bias}, *form.output_bias);
  if (form.mlp_bias) {
    add(mlp + "gate_proj.bias", {Slot::gate_bias}, *form.mlp_bias);
    add(mlp + "up_proj.bias", {Slot::up_bias}, *form.mlp_bias);
    add(mlp + "down_proj.bias", {Slot::down_bias}, *form.mlp_bias);
  }
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

std::vector<TensorRow> gpt_neox_tensors() {
  const std::string attention = "layers.{}.attention.";
  const std::string mlp = "layers.{}.mlp.";
  const Presence biased{.key = "attention_bias", .fallback = true};
  return {
      {"embed_in.weight", {Slot::embedding}},
      {"final_layer_norm.weight", {Slot::final_norm_weight}},
      {"final_layer_norm.bias", {Slot::final_norm_bias}},
      {"embed_out.weight", {Slot::unembedding}},
      {"layers.{}.input_layernorm.weight", {Slot::attention_norm_weight}},
      {"layers.{}.input_layernorm.bias", {Slot::attention_norm_bias}},
      {attention + "query_key_value.weight",
       {Slot::query_weight, Slot::key_weight, Slot::value_weight},
       Layout::by_head},
      {attention + "query_key_value.bias",
       {Slot::query_bias, Slot::key_bias, Slot::value_bias},
       Layout::by_head,
       biased},
      {attention + "dense.weight", {Slot::output_weight}},
      {attention + "dense.bias", {Slot::output_bias}, Layout::linear, biased},
      {"layers.{}.post_attention_layernorm.weight", {Slot::mlp_norm_weight}},
      {"layers.{}.post_attention_layernorm.bias", {Slot::mlp_norm_bias}},
      {mlp + "dense_h_to_4h.weight", {Slot::up_weight}},
      {mlp + "dense_h_to_4h.bias", {Slot::up_bias}},
      {mlp + "dense_4h_to_h.weight", {Slot::down_weight}},
      {mlp + "dense_4h_to_h.bias", {Slot::down_bias}},
  };
}

const std::vector<std::string> rotary_table = {"rotary_emb.inv_freq"};  // older checkpoints store it
const std::vector<std::string> trunk = {"model."};                      // a trunk saved alone lacks it

Family llama_like(const std::string& model_type, const LlamaTensors& form) {
  return {.model_type = model_type, .tensors = llama_tensors(form), .prefixes = trunk, .ignored = rotary_table};
}

std::vector<FamilyRow> gpt_rows() {
  return {
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
       .general_names = {{"hidden_size", "n_embd"},
                         {"max_position_embeddings", "n_positions"},
                         {"num_attention_heads", "n_head"},
                         {"num_hidden_layers", "n_layer"}},
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
      {.family = {.model_type = "gpt_neox",
                  .tensors = gpt_neox_tensors(),
                  .prefixes = {"gpt_neox."},
                  .ignored = {".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"}},
       .sizes = {.kv_heads = "", .d_head = ""},
       .defaults = {{"hidden_act", "gelu"}, {"use_parallel_residual", true}},
       .norm = NormKind::layer,
       .epsilon_key = "layer_norm_eps",
       .default_epsilon = 1e-5,
       .mlp = MlpKind::plain,
       .default_activation = "gelu",
       .rotary = {.theta_key = "rotary_emb_base", .part_key = "rotary_pct", .part = 0.25},
       .parallel_key = "use_parallel_residual"},
  };
}

std::vector<FamilyRow> llama_rows() {
  const Presence always{};
  const Presence asked{"attention_bias"};
  const Presence asked_mlp{"mlp_bias"};
  return {
      {.family = llama_like("llama", {.qkv_bias = asked, .output_bias = asked, .mlp_bias = asked_mlp})},
      {.family = llama_like("mistral", {}),
       .defaults = {{"sliding_window", 4096}},
       .windows = {.rule = Windows::Rule::every_block, .reads_layer_types = false}},
      {.family = llama_like("qwen2", {.qkv_bias = always}),
       .defaults = {{"sliding_window", 4096}, {"max_window_layers", 28}},
       .windows = {.rule = Windows::Rule::upper, .switched = true}},
      {.family = llama_like("qwen3", {.qkv_bias = asked, .output_bias = asked, .query_key_norms = true}),
       .defaults = {{"sliding_window", 4096}, {"max_window_layers", 28}, {"head_dim", 128}},
       .query_key_norm = QueryKeyNorm::per_head,
       .windows = {.rule = Windows::Rule::upper, .switched = true}},
      {.family = llama_like("phi3", {.fused = true}),
       .defaults = {{"original_max_position_embeddings", 4096}, {"sliding_window", nullptr}},
       .default_epsilon = 1e-5,
       .rotary = {.part_key = "partial_rotary_factor",
                  .renamed_types = {{"su", "longrope"}, {"yarn", "longrope"}},
                  .types = {"default", "longrope"}},
       .windows = {.rule = Windows::Rule::every_block, .reads_layer_types = false}},
      {.family = llama_like("smollm3", {.qkv_bias = asked, .output_bias = asked, .mlp_bias = asked_mlp}),
       .defaults = {{"no_rope_layer_interval", 4}, {"sliding_window", nullptr}},
       .rotary = {.theta = 2'000'000},
       .no_rotary_key = "no_rope_layers",
       .no_rotary_interval = "no_rope_layer_interval",
       .windows = {.rule = Windows::Rule::no_rotary, .switched = true},
       .tied_by_default = true},
      {.family = llama_like("granite", {.qkv_bias = asked, .output_bias = asked, .mlp_bias = asked_mlp}),
       .scales = {.embedding = "embedding_multiplier",
                  .residual = "residual_multiplier",
                  .attention = "attention_multiplier",
                  .logit_divisor = "logits_scaling"}},
      {.family = llama_like("olmo2",
                            {.qkv_bias = asked, .output_bias = asked, .norms = Norms::after, .query_key_norms = true}),
       .norms = Norms::after,
       .default_epsilon = 1e-5,
       .query_key_norm = QueryKeyNorm::full_width},
      {.family = llama_like("olmo3",
                            {.qkv_bias = asked, .output_bias = asked, .norms = Norms::after, .query_key_norms = true}),
       .defaults = {{"sliding_window", 4096}},
       .norms = Norms::after,
       .default_epsilon = 1e-5,
       .query_key_norm = QueryKeyNorm::full_width,
       .rotary = {.theta = 500'000, .sliding = RotaryKeys::Sliding{.theta = 500'000}},
       .windows = {.rule = Windows::Rule::pattern, .pattern = 4}},
  };
}

std::vector<FamilyRow> gemma_rows() {
  const Presence asked{"attention_bias"};
  const LlamaTensors gemma2{.qkv_bias = asked, .output_bias = asked, .norms = Norms::around};
  LlamaTensors gemma3 = gemma2;
  gemma3.query_key_norms = true;
  FamilyRow third = {.family = llama_like("gemma3_text", gemma3),
                     .defaults = {{"vocab_size", 262208},
                                  {"hidden_size", 2304},
                                  {"intermediate_size", 9216},
                                  {"num_hidden_layers", 26},
                                  {"num_attention_heads", 8},
                                  {"num_key_value_heads", 4},
                                  {"head_dim", 256},
                                  {"max_position_embeddings", 131072},
                                  {"query_pre_attn_scalar", 256},
                                  {"sliding_window", 4096},
                                  {"final_logit_softcapping", nullptr}},
                     .norms = Norms::around,
                     .gain_offset = 1,
                     .query_key_norm = QueryKeyNorm::per_head,
                     .activation_key = "hidden_activation",
                     .default_activation = "gelu_pytorch_tanh",
                     .rotary = {.theta = 1'000'000,
                                .sliding = RotaryKeys::Sliding{.theta = 10'000, .theta_key = "rope_local_base_freq"}},
                     .windows = {.rule = Windows::Rule::pattern, .pattern_key = "sliding_window_pattern", .pattern = 6},
                     .scales = {.head_scalar = "query_pre_attn_scalar",
                                .logit_softcap = "final_logit_softcapping",
                                .embedding_by_width = true},
                     .tied_by_default = true,
                     .required_values = {{"use_bidirectional_attention", false}}};
  third.family.prefixes = {"model.", "language_model.model.", "model.language_model."};
  third.family.ignored_parts = {"vision_tower.", "multi_modal_projector."};
  return {
      {.family = llama_like("gemma", {.qkv_bias = asked, .output_bias = asked}),
       .defaults = {{"head_dim", 256}},
       .gain_offset = 1,
       .default_activation = "gelu_pytorch_tanh",
       .gelu_is_tanh = true,
       .scales = {.embedding_by_width = true},
       .tied_by_default = true,
       .required_values = {{"use_bidirectional_attention", false}}},
      {.family = llama_like("gemma2", gemma2),
       .defaults = {{"head_dim", 256},
                    {"query_pre_attn_scalar", 256},
                    {"sliding_window", 4096},
                    {"attn_logit_softcapping", 50.0},
                    {"final_logit_softcapping", 30.0}},
       .norms = Norms::around,
       .gain_offset = 1,
       .activation_key = "hidden_activation",
       .default_activation = "gelu_pytorch_tanh",
       .windows = {.rule = Windows::Rule::pattern, .pattern = 2},
       .scales = {.head_scalar = "query_pre_attn_scalar",
                  .attention_softcap = "attn_logit_softcapping",
                  .logit_softcap = "final_logit_softcapping",
                  .embedding_by_width = true},
       .tied_by_default = true,
       .required_values = {{"use_bidirectional_attention", false}}},
      std::move(third),
  };
}

std::vector<FamilyRow> make_rows() {
  std::vector<FamilyRow> rows;
  for (auto make : {llama_rows, gemma_rows, gpt_rows}) {
    for (FamilyRow& row : make()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

const std::vector<FamilyRow>& family_rows() {
  static const std::vector<FamilyRow> rows = make_rows();
  return rows;
}

}  // namespace tributary::detail
