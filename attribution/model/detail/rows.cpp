// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/detail/rows.h"
#include "attribution/model/tensors.h"

#include <utility>

namespace tributary::detail {

at::Tensor row_buffer(std::int64_t rows, std::int64_t width, const at::TensorOptions& options) {
  at::Tensor buffer = at::empty({padded_rows(rows), width}, options);
  if (buffer.size(0) > rows) buffer.narrow(0, rows, buffer.size(0) - rows).zero_();
  return buffer;
}

at::Tensor padded_copy(const at::Tensor& rows, const at::TensorOptions& options) {
  at::Tensor padded = at::zeros({padded_rows(rows.size(0)), rows.size(1)}, options);
  used(padded, rows.size(0)).copy_(rows);
  return padded;
}

at::Tensor last_positions(const at::Tensor& rows, std::int64_t suffix, std::int64_t kept) {
  return rows.unflatten(0, {-1, suffix}).narrow(1, suffix - kept, kept);
}

at::Tensor at_all_positions(const at::Tensor& last, std::int64_t positions) {
  const std::int64_t there = last.size(-2);
  if (there == positions) return last;
  std::vector<std::int64_t> shape = last.sizes().vec();
  shape[shape.size() - 2] = positions;
  at::Tensor all = at::zeros(shape, last.options());
  all.narrow(-2, positions - there, there).copy_(last);
  return all;
}

Norm attention_norm(const BlockSpec& block, const LayerWeights& weights) {
  return norm_of(block.attention_norm, weights.attention_norm_weight, weights.attention_norm_bias);
}

Norm mlp_norm(const BlockSpec& block, const LayerWeights& weights) {
  return norm_of(block.mlp_norm, weights.mlp_norm_weight, weights.mlp_norm_bias);
}

Gate gate_of(const Architecture& architecture, const BlockSpec& block) {
  return {block.mlp.kind, block.mlp.activation, architecture.neurons};
}

std::int64_t entered(const Batch& batch, std::int64_t block, Before half) {
  std::int64_t count = 0;
  for (const Entry& entry : batch.entries) {
    if (std::pair(entry.block, entry.before) <= std::pair(block, half)) count += entry.resid.size(0);
  }
  return count;
}

Attention attention_of(const Architecture& architecture, const AttentionSpec& spec, const at::Tensor& query,
                       const at::Tensor& key_value, std::int64_t sequences) {
  Attention attention;
  attention.sequences = sequences;
  attention.queries = query.size(0) / sequences;
  attention.suffix = key_value.size(0) / sequences;
  attention.heads = architecture.heads;
  attention.kv_heads = architecture.kv_heads;
  attention.d_head = architecture.d_head;
  attention.window = spec.window.value_or(0);
  attention.scale = spec.scale;
  attention.softcap = spec.softcap.value_or(0);
  attention.query = query;
  attention.key = keys(key_value);
  attention.value = values(key_value);
  return attention;
}

void add_prefix(Attention& attention, std::int64_t length, const at::Tensor& key_value, const at::Tensor& pairs) {
  attention.prefix_length = length;
  attention.prefix_key = keys(key_value);
  attention.prefix_value = values(key_value);
  attention.pair = pairs;
}

NormedHeads norm_heads(const Architecture& architecture, const AttentionSpec& spec, const at::Tensor& heads,
                       const at::Tensor& weight, at::ScalarType stream_type) {
  const std::int64_t width = spec.query_key_norm == QueryKeyNorm::per_head ? architecture.d_head : heads.size(1);
  NormedHeads normed;
  normed.input = heads.to(stream_type, /*non_blocking=*/false, /*copy=*/true).contiguous();  // [rows, heads * d_head]
  const at::Tensor rows = normed.input.view({-1, width});
  const at::Tensor out = at::empty(rows.sizes(), heads.options());
  const at::Tensor mean_rstd = at::empty({rows.size(0), 2}, rows.options());
  normalise(rows, norm_of(spec.query_key, weight), out, mean_rstd);
  heads.copy_(out.view(heads.sizes()));
  normed.mean_rstd = mean_rstd.view({heads.size(0), -1});  // [rows, 2 * norms a row]
  return normed;
}

void norm_heads_backward(const Architecture& architecture, const AttentionSpec& spec, const NormedHeads& normed,
                         const at::Tensor& weight, Derivative derivative, const at::Tensor& gradient) {
  const std::int64_t width = spec.query_key_norm == QueryKeyNorm::per_head ? architecture.d_head : gradient.size(1);
  const at::Tensor input = normed.input.reshape({-1, width});
  const at::Tensor through = at::zeros_like(input);
  normalise_backward(gradient.reshape({-1, width}), input, normed.mean_rstd.reshape({-1, 2}),
                     norm_of(spec.query_key, weight), derivative, through, {});
  gradient.copy_(through.view(gradient.sizes()));
}

at::Tensor keys(const at::Tensor& key_value) { return key_value.narrow(1, 0, key_value.size(1) / 2); }

at::Tensor values(const at::Tensor& key_value) {
  return key_value.narrow(1, key_value.size(1) / 2, key_value.size(1) / 2);
}

std::vector<RotaryTables> rotary_tables_of(const Transformer& model, std::int64_t length) {
  std::vector<RotaryTables> tables;
  for (const Rotary& rotary : model.architecture().rotaries) {
    tables.push_back(rotary_tables(rotary, model.architecture().d_head, length, model.score_options()));
  }
  return tables;
}

void turn(const AttentionSpec& spec, const std::vector<RotaryTables>& tables, const at::Tensor& rows,
          std::int64_t first, std::int64_t positions, RotationSense sense) {
  if (!spec.rotary || rows.size(0) == 0) return;
  const RotaryTables& table = tables[*spec.rotary];
  rotate(rows, {table.cosine, table.sine, table.d_head, first, positions}, sense);
}

BlockWork block_work(const BlockSpec& block, const Batch& batch, std::int64_t sequences, std::int64_t queries) {
  return {sequences * batch.suffix, sequences * queries,
          sequences * attended_pairs(batch.length, queries, block.attention.window.value_or(0))};
}

}  // namespace tributary::detail
