// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Random transformers of a few neurons, made in memory: gated and bias-free like Llama (mistral: with a sliding window;
// qwen: with biases of queries, keys and values), or plain with LayerNorm and biases like GPT-2.
#pragma once

#include "attribution/model/tensors.h"

#include <ATen/Context.h>
#include <cmath>
#include <string>
#include <utility>

#include "attribution/methods/attribute.h"
#include "attribution/model/transformer.h"

namespace tributary::testing {

/// patchwork: every block another, as no family of today has them. gemma: norms around sub-blocks and of queries and
/// keys, caps, windows in every other block with angles of their own. olmo: norms after sub-blocks alone, queries and
/// keys normed in full width; multipliers as Granite has them. neox: attention and MLP side by side.
enum class Kind { llama, mistral, qwen, gpt2, patchwork, gemma, olmo, neox };

inline std::string name_of(Kind kind) {
  switch (kind) {
    case Kind::llama:
      return "llama";
    case Kind::mistral:
      return "mistral";
    case Kind::qwen:
      return "qwen";
    case Kind::gpt2:
      return "gpt2";
    case Kind::patchwork:
      return "patchwork";
    case Kind::gemma:
      return "gemma";
    case Kind::olmo:
      return "olmo";
    case Kind::neox:
      return "neox";
  }
  return "";
}

inline Architecture tiny_architecture(Kind kind, std::size_t layers = 3) {
  Architecture a;
  a.family = name_of(kind);
  a.d_model = 24;
  a.heads = 4;
  a.kv_heads = kind == Kind::gpt2 || kind == Kind::neox ? 4 : kind == Kind::mistral ? 1 : 2;
  a.d_head = 6;
  a.neurons = 20;
  a.vocabulary = 40;
  a.max_positions = 16;
  BlockSpec block;
  block.attention.scale = 1 / std::sqrt(6.0);
  block.attention.rotary = 0;
  a.rotaries = {Rotary{}};
  if (kind == Kind::mistral) {
    block.attention.window = 3;
    block.mlp.activation = Activation::gelu_erf;
  }
  if (kind == Kind::gpt2 || kind == Kind::neox) {
    block.attention_norm.kind = block.mlp_norm.kind = a.final_norm.kind = NormKind::layer;
    block.mlp = {MlpKind::plain, Activation::gelu_tanh};
  }
  if (kind == Kind::gpt2) {
    block.attention.rotary.reset();
    a.rotaries.clear();
    a.learned_positions = true;
  }
  if (kind == Kind::neox) block.residual = Residual::parallel;
  if (kind == Kind::gemma) {
    block.attention_norm = block.mlp_norm = block.attention_post_norm = block.mlp_post_norm = {NormKind::rms, 1e-3, 1};
    block.attention.query_key_norm = QueryKeyNorm::per_head;
    block.attention.query_key = {NormKind::rms, 1e-3, 1};
    block.attention.softcap = 1.5;
    block.mlp.activation = Activation::gelu_tanh;
    a.final_norm = {NormKind::rms, 1e-3, 1};
    a.rotaries.push_back({.theta = 50});
    a.logit_softcap = 2;
  }
  if (kind == Kind::olmo) {
    block.attention_norm.kind = block.mlp_norm.kind = NormKind::none;
    block.attention_post_norm = block.mlp_post_norm = {NormKind::rms, 1e-3};
    block.attention.query_key_norm = QueryKeyNorm::full_width;
    block.multiplier = 0.6;
    a.logit_multiplier = 0.4;
  }
  a.blocks.assign(layers, block);
  for (std::size_t layer = 1; kind == Kind::gemma && layer < layers; layer += 2) {
    a.blocks[layer].attention.window = 2;
    a.blocks[layer].attention.rotary = 1;
  }
  if (kind == Kind::patchwork) {
    a.rotaries.push_back({.theta = 50,
                          .dims = 4,
                          .scaling = RotaryScaling::yarn,
                          .factor = 4,
                          .attention_factor = 0.9,
                          .original_positions = 8});
    for (std::size_t layer = 0; layer < layers; layer += 3) {  // no rotary, LayerNorm, plain MLP
      a.blocks[layer].attention.rotary.reset();
      a.blocks[layer].attention_norm = {NormKind::layer, 1e-3};
      a.blocks[layer].mlp = {MlpKind::plain, Activation::relu};
    }
    for (std::size_t layer = 1; layer < layers; layer += 3) {  // a window, other angles, other scale
      a.blocks[layer].attention = {.scale = 0.7, .window = 2, .rotary = 1};
      a.blocks[layer].mlp_norm = {NormKind::layer, 1e-2};
      a.blocks[layer].mlp.activation = Activation::gelu_tanh;
    }
  }
  return a;
}

/// Seeded weights, large enough that attention patterns and neurons are far from linear.
inline Weights tiny_weights(const Architecture& a, at::ScalarType type = at::kDouble, std::uint64_t seed = 1) {
  at::manual_seed(seed);
  const auto matrix = [type](std::int64_t rows, std::int64_t columns) {
    return (at::randn({rows, columns}, at::kDouble) * (1.5 / std::sqrt(static_cast<double>(columns)))).to(type);
  };
  const double mean_gain = 1 - a.final_norm.gain_offset;
  const auto scale = [=](std::int64_t width) { return (mean_gain + 0.3 * at::randn({width}, at::kDouble)).to(type); };
  const auto scale_of = [&](const NormSpec& norm) {
    return norm.kind == NormKind::none ? at::Tensor() : scale(a.d_model);
  };
  const auto bias = [type](std::int64_t width, NormKind norm) {
    const at::Tensor b = (0.3 * at::randn({width}, at::kDouble)).to(type);
    return norm == NormKind::layer ? b : at::Tensor();
  };
  Weights w;
  w.embedding = at::randn({a.vocabulary, a.d_model}, at::kDouble).to(type);
  if (a.learned_positions) w.position_embedding = (0.5 * at::randn({a.max_positions, a.d_model}, at::kDouble)).to(type);
  w.final_norm_weight = scale(a.d_model);
  w.final_norm_bias = bias(a.d_model, a.final_norm.kind);
  w.unembedding = matrix(a.vocabulary, a.d_model);
  for (const BlockSpec& block : a.blocks) {
    LayerWeights l;
    const NormKind norm = block.mlp_norm.kind;
    l.attention_norm_weight = scale_of(block.attention_norm);
    l.attention_norm_bias = bias(a.d_model, block.attention_norm.kind);
    const std::int64_t joined = (a.heads + 2 * a.kv_heads) * a.d_head;
    l.qkv_weight = matrix(joined, a.d_model);
    l.qkv_bias = a.family == "qwen" ? (0.3 * at::randn({joined}, at::kDouble)).to(type) : bias(joined, norm);
    l.output_weight = matrix(a.d_model, a.heads * a.d_head);
    l.output_bias = bias(a.d_model, norm);
    l.mlp_norm_weight = scale_of(block.mlp_norm);
    l.mlp_norm_bias = bias(a.d_model, norm);
    const std::int64_t expanded = block.mlp.kind == MlpKind::gated ? 2 * a.neurons : a.neurons;
    l.expand_weight = matrix(expanded, a.d_model);
    l.expand_bias = bias(expanded, norm);
    l.down_weight = matrix(a.d_model, a.neurons);
    l.down_bias = bias(a.d_model, norm);
    l.attention_post_norm_weight = scale_of(block.attention_post_norm);
    l.mlp_post_norm_weight = scale_of(block.mlp_post_norm);
    if (block.attention.query_key_norm != QueryKeyNorm::none) {
      const bool full = block.attention.query_key_norm == QueryKeyNorm::full_width;
      l.query_norm_weight = scale(full ? a.query_width() : a.d_head);
      l.key_norm_weight = scale(full ? a.key_width() : a.d_head);
    }
    w.layers.push_back(std::move(l));
  }
  return w;
}

/// For prompts of up to `positions` tokens.
inline Transformer tiny_model(Kind kind, at::ScalarType type = at::kDouble, std::int64_t positions = 16) {
  Architecture a = tiny_architecture(kind);
  a.max_positions = positions;
  Weights w = tiny_weights(a, type);
  return {std::move(a), std::move(w)};
}

/// Of the tiny models of every kind, which are alike in size.
inline NodeTable tiny_table(NodeKind kind = NodeKind::neurons, MlpSide side = MlpSide::added) {
  return node_table(kind, tiny_architecture(Kind::llama), side);
}

/// `pairs` random pairs of `length` tokens that differ in one token, the second unless said; metric logit(3) -
/// logit(7).
inline Prompts tiny_prompts(std::int64_t pairs, std::int64_t length, at::ScalarType score_type = at::kDouble,
                            std::int64_t differing = 1) {
  at::manual_seed(2);
  Prompts prompts;
  prompts.clean = at::randint(40, {pairs, length}, at::kLong);
  prompts.counterfactual = prompts.clean.clone();
  prompts.counterfactual.select(1, differing).add_(1).remainder_(40);
  prompts.tokens = {at::tensor({3, 7}, at::kLong).expand({pairs, 2}).contiguous(),
                    at::tensor({1.0, -1.0}, at::kDouble).to(score_type)};
  return prompts;
}

}  // namespace tributary::testing
