// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A transformer described as data: sizes, and one BlockSpec a layer. Forward and backward pass read a block's spec and
// know no family; families.* fills the description from a config.json. It says nothing of where the numbers came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tributary {

enum class NormKind { none, rms, layer };
enum class MlpKind { gated, plain };
enum class Activation : std::int32_t { silu, gelu_erf, gelu_tanh, gelu_quick, relu };
enum class RotaryScaling { none, linear, dynamic, yarn, longrope, llama3 };

/// Rotary position embedding (Su et al. 2021), with the frequency scalings that checkpoints name (rotary.cpp has their
/// formulas). A scaling reads the numbers that name it, and no other.
struct Rotary {
  double theta = 10000.0;
  std::int64_t dims = 0;  //!< how many of a head's dimensions turn, the first ones, an even number; 0: all of them
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1.0;                  //!< linear, dynamic, yarn, llama3: how far the context was stretched
  double attention_factor = 1.0;        //!< yarn, longrope: of every cosine and sine
  std::int64_t original_positions = 0;  //!< all but linear: positions the model was first trained on
  double low_frequency_factor = 1.0;    //!< llama3
  double high_frequency_factor = 4.0;   //!< llama3
  double beta_fast = 32;                //!< yarn: turns in original_positions from which a frequency is kept
  double beta_slow = 1;                 //!< yarn: turns up to which it is stretched in full
  bool truncate = true;                 //!< yarn: the bounds between the two are whole numbers
  std::vector<double> short_factors{};  //!< longrope: of each wavelength, in prompts of at most original_positions
  std::vector<double> long_factors{};   //!< longrope: the same in longer prompts

  friend bool operator==(const Rotary&, const Rotary&) = default;
};

struct NormSpec {
  NormKind kind = NormKind::rms;
  double epsilon = 1e-5;
  double gain_offset = 0;  //!< what is added to the stored weights (Gemma stores w of 1 + w)
};

/// What queries and keys are normalised over, before they are turned by their positions.
enum class QueryKeyNorm { none, per_head, full_width };

struct AttentionSpec {
  double scale = 1;                      //!< of the product of a query and a key, before the softmax
  std::optional<double> softcap{};       //!< scaled scores s become cap · tanh(s / cap), before the mask
  std::optional<std::int64_t> window{};  //!< positions that a query sees, itself included; none: all before it
  std::optional<std::size_t> rotary{};   //!< which of Architecture::rotaries turns queries and keys; none: they stay
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  NormSpec query_key{};  //!< that norm
};

struct MlpSpec {
  MlpKind kind = MlpKind::gated;
  Activation activation = Activation::silu;
};

/// What the MLP reads: the stream with the attention's output in it, or the stream that the attention reads too.
enum class Residual { sequential, parallel };

/// One block. A sub-block adds multiplier · post_norm(W v) to the stream, v being the input of its last matrix:
///   sequential: resid_mid = resid_pre + attention(norm(resid_pre)), resid_post = resid_mid + mlp(norm(resid_mid))
///   parallel:   resid_post = resid_pre + attention(norm(resid_pre)) + mlp(norm(resid_pre))
/// A norm of kind none leaves what it would read as it is.
struct BlockSpec {
  NormSpec attention_norm{};
  AttentionSpec attention{};
  NormSpec attention_post_norm{NormKind::none};
  NormSpec mlp_norm{};
  MlpSpec mlp{};
  NormSpec mlp_post_norm{NormKind::none};
  Residual residual = Residual::sequential;
  double multiplier = 1;  //!< of what attention and MLP add to the stream
};

struct Architecture {
  std::string family;  //!< the row of the family table it came from ("llama")

  std::int64_t d_model = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  //!< fewer than heads: grouped-query attention
  std::int64_t d_head = 0;
  std::int64_t neurons = 0;  //!< MLP neurons a layer: the width of the down projection's input
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;  //!< the longest prompt; for dynamic rotary scaling what it stretches to

  double embedding_multiplier = 1;  //!< of token embeddings, where they enter the stream
  /// network: the multiplier is rounded to the network's dtype first (Gemma keeps it in a buffer of that dtype)
  enum class Precision { exact, network } embedding_multiplier_precision = Precision::exact;
  bool learned_positions = false;  //!< a position's own embedding is added to its token's
  std::vector<Rotary> rotaries;    //!< that blocks refer to
  std::vector<BlockSpec> blocks;   //!< one a layer, the lowest first
  NormSpec final_norm;
  double logit_multiplier = 1;            //!< of the unembedding's products
  std::optional<double> logit_softcap{};  //!< logits z become cap · tanh(z / cap), after the multiplier
  bool tied_embeddings = false;           //!< the unembedding is the embedding

  [[nodiscard]] std::int64_t layers() const { return static_cast<std::int64_t>(blocks.size()); }
  [[nodiscard]] const BlockSpec& block(std::int64_t layer) const { return blocks[static_cast<std::size_t>(layer)]; }
  /// Width of all query heads side by side, and of all key (or value) heads.
  [[nodiscard]] std::int64_t query_width() const { return heads * d_head; }
  [[nodiscard]] std::int64_t key_width() const { return kv_heads * d_head; }
};

/// Whether some MLP's output goes through a norm on its way to the stream.
inline bool has_post_norms(const Architecture& architecture) {
  for (const BlockSpec& block : architecture.blocks) {
    if (block.mlp_post_norm.kind != NormKind::none) return true;
  }
  return false;
}

}  // namespace tributary
