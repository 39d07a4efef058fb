// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the forward and the backward pass share: row buffers with zeroed padding, the rows of one block, and its
// functions' arguments from its spec and weights.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/model/functions.h"
#include "attribution/model/rotary.h"
#include "attribution/model/transformer.h"

namespace tributary::detail {

/// Rows of a matrix product: rounded up to a multiple of 32.
inline std::int64_t padded_rows(std::int64_t rows) { return (rows + 31) / 32 * 32; }

/// [padded rows, width], its padding zero and the rest not yet written.
at::Tensor row_buffer(std::int64_t rows, std::int64_t width, const at::TensorOptions& options);

/// The used rows of a buffer.
inline at::Tensor used(const at::Tensor& buffer, std::int64_t rows) { return buffer.narrow(0, 0, rows); }

/// Rows [row, width] as the operand of a matrix product: cast and padded with zeros [padded rows, width].
at::Tensor padded_copy(const at::Tensor& rows, const at::TensorOptions& options);

/// The last `kept` positions of sequences of `suffix` rows each, as a view [sequence, kept, width].
at::Tensor last_positions(const at::Tensor& rows, std::int64_t suffix, std::int64_t kept);

/// The other way round: values of the last positions [..., pos, width] among all of them, zero elsewhere; the same
/// tensor where they are all.
at::Tensor at_all_positions(const at::Tensor& last, std::int64_t positions);

/// How rows lie in one block: those of the prefix where it is computed in passing, then `suffix` rows a sequence. Past
/// attention go all of them, or in a trimmed block the last `queries` of each sequence.
struct BlockGeometry {
  std::int64_t prefix_rows = 0, sequences = 0, suffix = 0, queries = 0;
  bool trimmed = false;

  [[nodiscard]] std::int64_t rows() const { return prefix_rows + sequences * suffix; }
  [[nodiscard]] std::int64_t query_prefix_rows() const { return trimmed ? 0 : prefix_rows; }
  [[nodiscard]] std::int64_t query_rows() const { return query_prefix_rows() + sequences * queries; }
  /// The sequences' own part of rows, without the prefix.
  [[nodiscard]] at::Tensor own(const at::Tensor& all) const { return all.narrow(0, prefix_rows, sequences * suffix); }
  [[nodiscard]] at::Tensor own_queries(const at::Tensor& all) const {
    return all.narrow(0, query_prefix_rows(), sequences * queries);
  }
};

Norm attention_norm(const BlockSpec& block, const LayerWeights& weights);
Norm mlp_norm(const BlockSpec& block, const LayerWeights& weights);
Gate gate_of(const Architecture& architecture, const BlockSpec& block);

/// Sequences of a batch that have entered before a half of `block`.
std::int64_t entered(const Batch& batch, std::int64_t block, Before half);

/// The attention of `sequences` sequences on their own rows of queries and of keys and values; the prefix is added by
/// add_prefix.
Attention attention_of(const Architecture& architecture, const AttentionSpec& spec, const at::Tensor& query,
                       const at::Tensor& key_value, std::int64_t sequences);

/// Adds the keys and values of shared positions before the suffix: rows [pair * length, width], and the pair of each
/// sequence [sequence].
void add_prefix(Attention& attention, std::int64_t length, const at::Tensor& key_value, const at::Tensor& pairs);

/// Norms queries or keys [rows, heads * d_head] in place, network dtype, before they are turned: what they were in
/// stream dtype, and the norms' statistics [rows, 2 * norms a row], are what the way back needs.
NormedHeads norm_heads(const Architecture& architecture, const AttentionSpec& spec, const at::Tensor& heads,
                       const at::Tensor& weight, at::ScalarType stream_type);
/// Their gradient [rows, heads * d_head] in place, from that after the norm to that before it.
void norm_heads_backward(const Architecture& architecture, const AttentionSpec& spec, const NormedHeads& normed,
                         const at::Tensor& weight, Derivative derivative, const at::Tensor& gradient);

/// Columns of keys or values.
at::Tensor keys(const at::Tensor& key_value);
at::Tensor values(const at::Tensor& key_value);

/// The tables of every rotary embedding of a model, for prompts of `length` tokens.
std::vector<RotaryTables> rotary_tables_of(const Transformer& model, std::int64_t length);

/// Turns the heads in rows whose positions begin at `first` and count `positions` a sequence; nothing where the block
/// has no rotary embedding.
void turn(const AttentionSpec& spec, const std::vector<RotaryTables>& tables, const at::Tensor& rows,
          std::int64_t first, std::int64_t positions, RotationSense sense);

/// Work of one block for `sequences` sequences, `queries` positions of each past attention.
BlockWork block_work(const BlockSpec& block, const Batch& batch, std::int64_t sequences, std::int64_t queries);

}  // namespace tributary::detail
