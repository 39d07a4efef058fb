// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The forward and backward pass of every family, from its description. Sequences are stacked as rows [rows, width],
// and may enter the network at any block: a batch grows on its way up and shrinks on its way down, so paths that start
// in different layers share the blocks above. What products read is padded to a multiple of 32 rows, for those that
// LibTorch computes (products.h): then no bit of a sequence's result depends on what else is in the batch
// (docs/methods.md, "The same bits"). No autograd: what the backward pass needs is on a tape.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "attribution/model/architecture.h"
#include "attribution/model/flops.h"
#include "attribution/model/metric.h"
#include "attribution/model/rules.h"
#include "attribution/model/weights.h"
#include "attribution/model/writer.h"

namespace tributary {

/// Keys (rotated) and values of the positions that a batch does not compute: a block each [pair, pos, 2, kv_heads *
/// d_head].
struct Prefix {
  std::vector<at::Tensor> blocks;
};

/// The halves of a block, where sequences may enter the network.
enum class Before { attention, mlp };

/// Sequences that enter the network at `block`: before its attention, or where that is no part of them before its MLP
/// (in a parallel block, whose MLP does not read what attention adds, there is no such place).
struct Entry {
  std::int64_t block = 0;
  at::Tensor resid;  //!< resid_pre, or resid_mid, of the block [sequence, suffix, d_model]; before block 0: embeddings
  Before before = Before::attention;
};

/// Sequences to run together: prompts of `length` tokens of which the last `suffix` positions are computed.
struct Batch {
  std::int64_t length = 0, suffix = 0;
  std::vector<Entry> entries;      //!< ascending blocks, and halves of a block
  at::Tensor pairs;                //!< [sequence] int64: row of the prefix; undefined when suffix = length
  const Prefix* prefix = nullptr;  //!< of the positions before; or
  at::Tensor prefix_embeddings;    //!< [pair, prefix, d_model]: computed in passing (all enter at block 0)
  ReadPositions reads;             //!< what of the last block's output anybody looks at

  [[nodiscard]] std::int64_t prefix_length() const { return length - suffix; }
  [[nodiscard]] std::int64_t sequences() const;
};

/// What the last block computes: the positions that the metric reads (nothing else reaches it), or all.
enum class LastBlock { read_positions, all_positions };

/// What a forward pass keeps, and whom it calls. The hooks are called block after block from the first entry's on:
/// resid_pre(block) after stream(block, attention), then z, neurons, mlp_written and mlp_out. Tensors are of the
/// sequences that have entered, and what the hooks of values change in place is used; in a trimmed last block pos are
/// the kept positions only.
struct ForwardOptions {
  enum class Tape { none, keep } tape = Tape::none;
  LastBlock last_block = LastBlock::read_positions;
  /// Gets resid_pre of each block [sequence, suffix, d_model], stream dtype.
  std::function<void(std::int64_t block, const at::Tensor& resid)> resid_pre;
  /// Gets the stream before each half of a block, resid_pre and (of a block that is not parallel) resid_mid, and in the
  /// end what stands before the block that there is none of [sequence, pos, d_model], stream dtype. It may change it,
  /// and says whether it has: then what was made of it is made again.
  std::function<bool(std::int64_t block, Before half, const at::Tensor& resid)> stream;
  using Values = std::function<void(std::int64_t layer, at::Tensor values)>;
  Values z;                  //!< attention's output before W_O, all heads side by side [sequence, pos, heads * d_head]
  Values neurons;            //!< a, the input of the down projection [sequence, pos, neuron]
  Values mlp_written;        //!< W_down a + b [sequence, pos, d_model], before a norm and multiplier
  Values mlp_out;            //!< what the MLP adds to the stream [sequence, pos, d_model], network dtype
  Prefix* prefix = nullptr;  //!< out: of prefix_embeddings
  Flops* flops = nullptr;    //!< counts what was needed
};

/// Queries or keys before a norm of their own [rows, heads * d_head], and its statistics [rows, 2 * norms a row],
/// stream dtype; undefined where a block has no such norm.
struct NormedHeads {
  at::Tensor input, mean_rstd;
};

/// What the backward pass needs of one block. Rows are those of its batch, without padding; query rows are those of the
/// positions that go on past attention (in a trimmed last block fewer than rows).
struct BlockTape {
  at::Tensor resid_pre, attention_mean_rstd;  //!< [rows, d_model], [rows, 2]
  at::Tensor query, key_value;                //!< [query rows, heads * d_head], [rows, 2 * kv_heads * d_head]
  NormedHeads query_norm, key_norm;           //!< of query rows, of rows
  Written attention_written, mlp_written;     //!< of query rows; what was added is dropped
  at::Tensor mlp_stream, mlp_mean_rstd;       //!< [query rows, d_model]: resid_mid, or in a parallel block resid_pre
  at::Tensor pre_activations;                 //!< gate and up side by side [query rows, 2 * neurons]; plain: one
};

/// A finished forward pass.
struct Pass {
  Batch batch;
  LastBlock last_block = LastBlock::read_positions;
  std::int64_t prefix_rows = 0;   //!< rows of the prefix before the sequences' own
  std::int64_t first = 0;         //!< block of the first entry
  std::vector<BlockTape> blocks;  //!< from `first` on; empty without a tape
  at::Tensor resid;               //!< resid_post of the last block [sequence, kept or suffix, d_model], stream dtype
};

/// Some sequences of a pass, in a row.
struct SequenceRange {
  std::int64_t first = 0, count = 0;
};

/// Which derivatives a backward pass takes, and whom it calls. The hooks are called block after block from the last
/// down to the first entry's: mlp_out(block), mlp_written, neurons, resid_mid, z, then resid_pre. They get gradients of
/// the sequences of the range that have entered [sequence, pos, width]; in the last block pos are the kept positions,
/// but for resid_pre. The pass goes on in the same memory: clone what you keep of the stream's gradients.
struct BackwardOptions {
  Rules rules;
  enum class Values { skip, recompute } values = Values::skip;  //!< whether `neurons` gets a
  using Gradients = std::function<void(std::int64_t layer, const at::Tensor& gradient)>;
  Gradients mlp_out;      //!< dm/dresid_post, stream dtype
  Gradients mlp_written;  //!< dm/d(W_down a + b), network dtype
  /// Gets a (undefined when skipped) and dm/da, both network dtype.
  std::function<void(std::int64_t layer, const at::Tensor& a, const at::Tensor& gradient)> neurons;
  Gradients resid_mid;  //!< dm/dresid_mid of a block that is not parallel, stream dtype
  Gradients z;          //!< dm/dz, network dtype
  /// Gets dm/dresid_pre [sequence, suffix, d_model] of each block, stream dtype. Where sequences entered after the last
  /// block, a first call has block = number of layers.
  std::function<void(std::int64_t block, const at::Tensor& gradient)> resid_pre;
  /// Gets each bias of the way down, from the final norm's on, and dm/d of what it is added to [rows, its width]:
  /// dm/dbias is the sum over the rows, those of the range's sequences.
  std::function<void(const at::Tensor& bias, const at::Tensor& gradient)> biases;
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
  [[nodiscard]] at::TensorOptions options() const { return weights_.options; }
  /// dtype of the residual stream, metrics, scores and quadrature sums: float64 for a float64 model, else float32.
  [[nodiscard]] at::ScalarType score_type() const;
  [[nodiscard]] at::TensorOptions score_options() const { return options().dtype(score_type()); }

  /// What adds a layer's heads, and its neurons, to the residual stream.
  [[nodiscard]] Writer attention_writer(std::int64_t layer) const;
  [[nodiscard]] Writer mlp_writer(std::int64_t layer) const;

  /// Token embeddings e [batch, pos, d_model] of ids [batch, pos] in score_type (without position embedding: paths move
  /// tokens only).
  [[nodiscard]] at::Tensor embed(const at::Tensor& ids) const;

  Pass forward(Batch batch, const ForwardOptions& options) const;

  /// Passes dm/dresid_post of the last block [sequence, kept, d_model] of some sequences down a tape whose last block
  /// is of the read positions.
  void backward(const Pass& pass, SequenceRange range, const at::Tensor& gradient,
                const BackwardOptions& options) const;

  /// The metric as directions on the normalised stream, score_type: Σ_j coefficient_j · (row token_j of the
  /// unembedding).
  [[nodiscard]] LogitDirections logit_directions(const MetricTokens& tokens) const;
  /// m [sequence] in score_type, from the stream after the last block [sequence, kept, d_model] and the directions of
  /// its sequences.
  [[nodiscard]] at::Tensor metric(const at::Tensor& resid, const LogitDirections& directions) const;
  /// dm/dresid_post [sequence, kept, d_model].
  [[nodiscard]] at::Tensor metric_gradient(const at::Tensor& resid, const LogitDirections& directions,
                                           const BackwardOptions& options) const;

  /// Logits [sequence, pos, vocabulary] of the positions of a pass's stream.
  [[nodiscard]] at::Tensor logits(const at::Tensor& resid) const;

 private:
  friend class ForwardPass;
  friend class BackwardPass;

  Architecture architecture_;
  Weights weights_;
};

/// Whether all products of its blocks are loops of ours (products.h), so that several threads may share them.
bool has_own_products(const Transformer& model);

/// A plain batch: all positions of prompts with these embeddings [batch, pos, d_model], from block 0.
Batch whole_batch(const at::Tensor& embeddings, const ReadPositions& reads = {});

}  // namespace tributary
