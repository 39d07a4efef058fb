// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Random transformers of a few neurons, made in memory: gated and bias-free like Llama (mistral: with a sliding window;
// qwen: with biases of queries, keys and values), or plain with LayerNorm and biases like GPT-2.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <utility>

#include "attribution/methods/attribute.h"
#include "attribution/model/transformer.h"

namespace tributary::testing {

enum class Kind { llama, mistral, qwen, gpt2 };

inline std::string name_of(Kind kind) {
  return kind == Kind::llama ? "llama" : kind == Kind::mistral ? "mistral" : kind == Kind::qwen ? "qwen" : "gpt2";
}

inline Architecture tiny_architecture(Kind kind) {
  Architecture a;
  a.family = name_of(kind);
  a.layers = 3;
  a.d_model = 24;
  a.heads = 4;
  a.kv_heads = kind == Kind::gpt2 ? 4 : kind == Kind::mistral ? 1 : 2;
  a.d_head = 6;
  a.neurons = 20;
  a.vocabulary = 40;
  a.max_positions = 16;
  if (kind == Kind::mistral) {
    a.sliding_window = 3;
    a.activation = Activation::gelu_erf;
  }
  if (kind == Kind::gpt2) {
    a.norm = NormKind::layer;
    a.mlp = MlpKind::plain;
    a.activation = Activation::gelu_tanh;
    a.positions = PositionKind::learned;
  }
  return a;
}

/// Seeded weights, large enough that attention patterns and neurons are far from linear.
inline Weights tiny_weights(const Architecture& a, at::ScalarType type = at::kDouble, std::uint64_t seed = 1) {
  at::manual_seed(seed);
  const auto matrix = [type](std::int64_t rows, std::int64_t columns) {
    return (at::randn({rows, columns}, at::kDouble) * (1.5 / std::sqrt(static_cast<double>(columns)))).to(type);
  };
  const auto scale = [type](std::int64_t width) { return (1 + 0.3 * at::randn({width}, at::kDouble)).to(type); };
  const auto bias = [&a, type](std::int64_t width) {
    const at::Tensor b = (0.3 * at::randn({width}, at::kDouble)).to(type);
    return a.norm == NormKind::layer ? b : at::Tensor();
  };
  Weights w;
  w.embedding = at::randn({a.vocabulary, a.d_model}, at::kDouble).to(type);
  if (a.positions == PositionKind::learned)
    w.position_embedding = (0.5 * at::randn({a.max_positions, a.d_model}, at::kDouble)).to(type);
  w.final_norm_weight = scale(a.d_model);
  w.final_norm_bias = bias(a.d_model);
  w.unembedding = matrix(a.vocabulary, a.d_model);
  for (std::int64_t layer = 0; layer < a.layers; ++layer) {
    LayerWeights l;
    l.attention_norm_weight = scale(a.d_model);
    l.attention_norm_bias = bias(a.d_model);
    const std::int64_t joined = (a.heads + 2 * a.kv_heads) * a.d_head;
    l.qkv_weight = matrix(joined, a.d_model);
    l.qkv_bias = a.family == "qwen" ? (0.3 * at::randn({joined}, at::kDouble)).to(type) : bias(joined);
    l.output_weight = matrix(a.d_model, a.heads * a.d_head);
    l.output_bias = bias(a.d_model);
    l.mlp_norm_weight = scale(a.d_model);
    l.mlp_norm_bias = bias(a.d_model);
    const std::int64_t expanded = a.mlp == MlpKind::gated ? 2 * a.neurons : a.neurons;
    l.expand_weight = matrix(expanded, a.d_model);
    l.expand_bias = bias(expanded);
    l.down_weight = matrix(a.d_model, a.neurons);
    l.down_bias = bias(a.d_model);
    w.layers.push_back(std::move(l));
  }
  return w;
}

inline Transformer tiny_model(Kind kind, at::ScalarType type = at::kDouble) {
  Architecture a = tiny_architecture(kind);
  Weights w = tiny_weights(a, type);
  return {std::move(a), std::move(w)};
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
