// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/rows.h"

#include <ATen/ATen.h>

namespace tributary::detail {

at::Tensor row_buffer(std::int64_t rows, std::int64_t width, const at::TensorOptions& options) {
  at::Tensor buffer = at::empty({padded_rows(rows), width}, options);
  if (buffer.size(0) > rows) buffer.narrow(0, rows, buffer.size(0) - rows).zero_();
  return buffer;
}

at::Tensor last_positions(const at::Tensor& rows, std::int64_t live) {
  return rows.unflatten(0, {-1, live}).select(1, live - 1);
}

Norm attention_norm(const Architecture& architecture, const LayerWeights& weights) {
  return {weights.attention_norm_weight, weights.attention_norm_bias, architecture.norm, architecture.norm_epsilon};
}

Norm mlp_norm(const Architecture& architecture, const LayerWeights& weights) {
  return {weights.mlp_norm_weight, weights.mlp_norm_bias, architecture.norm, architecture.norm_epsilon};
}

Gate gate_of(const Architecture& architecture) {
  return {architecture.mlp, architecture.activation, architecture.neurons};
}

std::int64_t entered(const Batch& batch, std::int64_t block) {
  std::int64_t count = 0;
  for (const Entry& entry : batch.entries) {
    if (entry.block <= block) count += entry.stream.size(0);
  }
  return count;
}

Attention attention_of(const Architecture& architecture, const at::Tensor& query, const at::Tensor& key_value,
                       std::int64_t sequences) {
  Attention attention;
  attention.sequences = sequences;
  attention.queries = query.size(0) / sequences;
  attention.live = key_value.size(0) / sequences;
  attention.heads = architecture.heads;
  attention.kv_heads = architecture.kv_heads;
  attention.d_head = architecture.d_head;
  attention.window = architecture.sliding_window.value_or(0);
  attention.query = query;
  attention.key = keys(key_value);
  attention.value = values(key_value);
  return attention;
}

void set_prefix(Attention& attention, std::int64_t before, const at::Tensor& key_value, const at::Tensor& pairs) {
  attention.before = before;
  attention.prefix_key = keys(key_value);
  attention.prefix_value = values(key_value);
  attention.pair = pairs;
}

at::Tensor keys(const at::Tensor& key_value) { return key_value.narrow(1, 0, key_value.size(1) / 2); }

at::Tensor values(const at::Tensor& key_value) {
  return key_value.narrow(1, key_value.size(1) / 2, key_value.size(1) / 2);
}

BlockWork block_work(const Architecture& architecture, const Batch& batch, std::int64_t sequences,
                     std::int64_t queries) {
  return {sequences * batch.live, sequences * queries,
          sequences * attended_pairs(batch.length, queries, architecture.sliding_window.value_or(0))};
}

}  // namespace tributary::detail
