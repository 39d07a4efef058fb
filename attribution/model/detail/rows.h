// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the forward and the backward pass share: row buffers with zeroed padding, and a block's pieces by name.
#pragma once

#include <ATen/core/Tensor.h>

#include "attribution/model/functions.h"
#include "attribution/model/transformer.h"

namespace tributary::detail {

/// [padded rows, width], its padding zero and the rest not yet written.
at::Tensor row_buffer(std::int64_t rows, std::int64_t width, const at::TensorOptions& options);

/// The used rows of a buffer.
inline at::Tensor used(const at::Tensor& buffer, std::int64_t rows) { return buffer.narrow(0, 0, rows); }

/// The last position of each sequence of `live` rows, as [sequence, width] with a wider row stride.
at::Tensor last_positions(const at::Tensor& rows, std::int64_t live);

Norm attention_norm(const Architecture& architecture, const LayerWeights& weights);
Norm mlp_norm(const Architecture& architecture, const LayerWeights& weights);
Gate gate_of(const Architecture& architecture);

/// Sequences of a batch that have entered before `block`'s attention.
std::int64_t entered(const Batch& batch, std::int64_t block);

/// The attention of `count` sequences from `first` on, on a block's queries and key-values (rows of those sequences
/// only); the prefix is added by the caller.
Attention attention_of(const Architecture& architecture, const at::Tensor& query, const at::Tensor& key_value,
                       std::int64_t sequences);

/// Adds the keys and values of shared positions before the live ones: rows [pair * before, width], and the pair of each
/// sequence [sequence].
void set_prefix(Attention& attention, std::int64_t before, const at::Tensor& key_value, const at::Tensor& pairs);

/// Columns of keys or values.
at::Tensor keys(const at::Tensor& key_value);
at::Tensor values(const at::Tensor& key_value);

/// Work of one block for `sequences` sequences.
BlockWork block_work(const Architecture& architecture, const Batch& batch, std::int64_t sequences,
                     std::int64_t queries);

}  // namespace tributary::detail
