// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A transformer described as data: what the forward pass needs to know of a model, and nothing about
// where its numbers came from. families.* fills it from a config.json; transformer.* runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tributary {

enum class NormKind { rms, layer };
enum class MlpKind { gated, plain };
enum class Activation { silu, gelu_erf, gelu_tanh, relu };
enum class PositionKind { rotary, learned };
enum class RotaryScaling { none, linear, llama3 };

/// Rotary position embedding (Su et al. 2021), with the frequency scalings that checkpoints name.
struct Rotary {
  double theta = 10000.0;
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1.0;                  //!< linear and llama3: how far the context was stretched
  double low_frequency_factor = 1.0;    //!< llama3
  double high_frequency_factor = 4.0;   //!< llama3
  std::int64_t original_positions = 0;  //!< llama3: positions the model was first trained on
};

struct Architecture {
  std::string family;  //!< the row of the family table it came from ("llama")

  std::int64_t layers = 0;
  std::int64_t d_model = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  //!< fewer than heads: grouped-query attention
  std::int64_t d_head = 0;
  std::int64_t neurons = 0;  //!< MLP neurons a layer: the width of the down projection's input
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;

  NormKind norm = NormKind::rms;
  double norm_epsilon = 1e-5;
  MlpKind mlp = MlpKind::gated;
  Activation activation = Activation::silu;
  PositionKind positions = PositionKind::rotary;
  Rotary rotary;
  std::optional<std::int64_t> sliding_window;  //!< a query sees this many positions, itself included
  bool tied_embeddings = false;                //!< the unembedding is the embedding
};

}  // namespace tributary
