// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The forward and backward pass of every family, from its description. Sequences are stacked as rows [rows, width],
// and may enter the network at any block: a batch grows on its way up and shrinks on its way down, so paths that start
// in different layers share the blocks above. Every matrix product has a multiple of 32 rows: then no bit of a
// sequence's result depends on what else is in the batch (design.md, Bits). No autograd: what the backward pass needs
// is on a tape.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "attribution/model/architecture.h"
#include "attribution/model/flops.h"
#include "attribution/model/rules.h"
#include "attribution/model/weights.h"

namespace tributary {

/// The metric's linear form on the logits of the last position: m = Σ_j coefficient_j · logit_{token_j}.
struct MetricTokens {
  at::Tensor tokens;        //!< [batch, k] int64
  at::Tensor coefficients;  //!< [k], metric dtype

  /// Those of some pairs, by index [n] int64, or of `count` pairs in a row.
  [[nodiscard]] MetricTokens select(const at::Tensor& pairs) const;
  [[nodiscard]] MetricTokens narrow(std::int64_t first, std::int64_t count) const;
};

/// Keys (rotated) and values of the positions that a batch does not compute: a block each [pair, pos, 2, kv_heads *
/// d_head].
struct Prefix {
  std::vector<at::Tensor> blocks;
};

/// Sequences that enter the network before `block`.
struct Entry {
  std::int64_t block = 0;
  at::Tensor stream;  //!< residual stream [sequence, live, d_model]; before block 0: token embeddings
};

/// Sequences to run together: prompts of `length` tokens of which the last `live` positions are computed.
struct Batch {
  std::int64_t length = 0, live = 0;
  std::vector<Entry> entries;      //!< ascending blocks
  at::Tensor pairs;                //!< [sequence] int64: row of the prefix; undefined when live = length
  const Prefix* prefix = nullptr;  //!< of the positions before; or
  at::Tensor prefix_embeddings;    //!< [pair, length - live, d_model]: computed in passing (all enter at block 0)

  [[nodiscard]] std::int64_t before() const { return length - live; }
  [[nodiscard]] std::int64_t sequences() const;
};

/// What the last block computes: the last position only (nothing else reaches the metric), or all.
enum class LastBlock { last_position, all_positions };

struct ForwardOptions {
  enum class Tape { none, keep } tape = Tape::none;
  LastBlock last_block = LastBlock::last_position;
  /// Called with each layer's MLP neurons [sequence, pos, neuron] (the input of the down projection), of the sequences
  /// that have entered; what it changes in place is used. pos is 1 in a last block of the last position only.
  std::function<void(std::int64_t layer, at::Tensor a)> neurons;
  /// Called with the residual stream [sequence, live, d_model] before each block, stream dtype.
  std::function<void(std::int64_t block, const at::Tensor& stream)> stream;
  Prefix* prefix = nullptr;  //!< out: of prefix_embeddings
  Flops* flops = nullptr;    //!< counts what was needed
};

/// What the backward pass needs of one block. Rows are those of its batch, without padding.
struct BlockTape {
  at::Tensor stream, attention_statistics;  //!< [rows, d_model], [rows, 2]
  at::Tensor query, key_value;              //!< [query rows, heads * d_head], [rows, 2 * kv_heads * d_head]
  at::Tensor middle, mlp_statistics;        //!< after attention [query rows, d_model], [query rows, 2]
  at::Tensor expanded;                      //!< [query rows, neurons or 2 * neurons]
};

/// A finished forward pass.
struct Pass {
  Batch batch;
  std::int64_t front = 0;         //!< rows of the prefix before the sequences' own
  std::int64_t first = 0;         //!< block of the first entry
  std::vector<BlockTape> blocks;  //!< from `first` on; empty without a tape
  at::Tensor stream;              //!< after all blocks [sequence, 1 or live, d_model], stream dtype
};

/// Some sequences of a pass, in a row.
struct SequenceRange {
  std::int64_t first = 0, count = 0;
};

struct BackwardOptions {
  Rules rules;
  enum class Values { skip, recompute } values = Values::skip;  //!< whether `neurons` gets a
  /// Called with dm/da [sequence, pos, neuron] of each layer and a (undefined when skipped), both network dtype, for
  /// the sequences of the range that have entered; pos is 1 in the last block.
  std::function<void(std::int64_t layer, const at::Tensor& a, const at::Tensor& gradient)> neurons;
  /// Called with dm/dstream [sequence, live, d_model] before each block, stream dtype. A view that the pass goes on
  /// changing.
  std::function<void(std::int64_t block, const at::Tensor& gradient)> stream;
  Fired* fired = nullptr;  //!< counts the rules that acted
  Flops* flops = nullptr;
};

/// Immutable; one instance serves all threads of a process.
class Transformer {
 public:
  Transformer(Architecture architecture, Weights weights);

  [[nodiscard]] const Architecture& architecture() const { return architecture_; }
  [[nodiscard]] const Weights& weights() const { return weights_; }
  /// dtype and device of matrix products.
  [[nodiscard]] at::TensorOptions options() const { return weights_.embedding.options(); }
  /// dtype of the residual stream, metrics, scores and quadrature sums: float64 for a float64 model, else float32.
  [[nodiscard]] at::ScalarType score_type() const;
  [[nodiscard]] at::TensorOptions score_options() const { return options().dtype(score_type()); }

  /// Token embeddings e [batch, pos, d_model] of ids [batch, pos] in score_type (without position embedding: paths move
  /// tokens only).
  [[nodiscard]] at::Tensor embed(const at::Tensor& ids) const;

  Pass forward(Batch batch, const ForwardOptions& options) const;

  /// Passes dm/dstream [sequence, 1, d_model] of some sequences down a tape whose last block is of the last position.
  void backward(const Pass& pass, SequenceRange range, const at::Tensor& gradient,
                const BackwardOptions& options) const;

  /// What m multiplies the normalised stream of the last position with [batch, d_model], score_type: Σ_j coefficient_j
  /// · (row token_j of the unembedding).
  [[nodiscard]] at::Tensor directions(const MetricTokens& tokens) const;
  /// m [batch] in score_type, from a pass's stream and directions of its sequences [sequence, d_model].
  [[nodiscard]] at::Tensor metric(const at::Tensor& stream, const at::Tensor& directions) const;
  /// dm/dstream [sequence, 1, d_model].
  [[nodiscard]] at::Tensor metric_gradient(const at::Tensor& stream, const at::Tensor& directions,
                                           const BackwardOptions& options) const;

  /// Logits [sequence, pos, vocabulary] of the positions of a pass's stream.
  [[nodiscard]] at::Tensor logits(const at::Tensor& stream) const;

 private:
  friend class ForwardPass;
  friend class BackwardPass;

  Architecture architecture_;
  Weights weights_;
};

/// A plain batch: all positions of prompts with these embeddings [batch, pos, d_model], from block 0.
Batch whole_batch(const at::Tensor& embeddings);

/// Rows of a matrix product: rounded up to a multiple of 32.
std::int64_t padded_rows(std::int64_t rows);

}  // namespace tributary
