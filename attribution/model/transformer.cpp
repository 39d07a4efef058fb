// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/transformer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "attribution/model/functions.h"
#include "common/errors.h"

namespace tributary {
namespace {

/// Chooses the derivative of one site, and counts it when the rule enters the graph.
Derivative derivative_of(Rule rule, const at::Tensor& input, const PassOptions& pass) {
  if (!pass.rules.has(rule)) return Derivative::plain;
  if (pass.fired != nullptr && c10::GradMode::is_enabled() && input.requires_grad()) pass.fired->count(rule);
  return Derivative::replaced;
}

/// [batch, pos, kv_head, d] → [batch, pos, head, d]: each key head serves heads / kv_heads query heads.
at::Tensor spread_heads(const at::Tensor& x, std::int64_t heads) {
  const std::int64_t group = heads / x.size(2);
  if (group == 1) return x;
  return x.unsqueeze(3)
      .expand({x.size(0), x.size(1), x.size(2), group, x.size(3)})
      .reshape({x.size(0), x.size(1), heads, x.size(3)});
}

}  // namespace

MetricTokens MetricTokens::select(const at::Tensor& pairs) const {
  return {at::index_select(tokens, 0, pairs), coefficients};
}

MetricTokens MetricTokens::narrow(std::int64_t first, std::int64_t count) const {
  return {tokens.narrow(0, first, count), coefficients};
}

at::Tensor to_rows(const at::Tensor& sequences, const BatchShape& shape) {
  const at::Tensor flat = sequences.reshape({shape.used(), sequences.size(-1)});
  return shape.rows() == shape.used() ? flat : at::constant_pad_nd(flat, {0, 0, 0, shape.rows() - shape.used()});
}

at::Tensor from_rows(const at::Tensor& rows, const BatchShape& shape) {
  return rows.narrow(0, 0, shape.used()).view({shape.batch, shape.length, rows.size(-1)});
}

Transformer::Transformer(Architecture architecture, Weights weights)
    : architecture_(std::move(architecture)), weights_(std::move(weights)) {}

at::ScalarType Transformer::score_type() const {
  return weights_.embedding.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor Transformer::embed(const at::Tensor& ids) const {
  const at::Tensor rows = at::index_select(weights_.embedding, 0, ids.reshape({-1}).to(options().device()));
  return rows.view({ids.size(0), ids.size(1), architecture_.d_model});
}

at::Tensor Transformer::run(const at::Tensor& embeddings, const PassOptions& pass) const {
  const BatchShape shape{embeddings.size(0), embeddings.size(1)};
  TRIBUTARY_EXPECT(shape.length <= architecture_.max_positions, "prompts are checked against max_positions when read");
  at::Tensor e = embeddings;
  if (architecture_.positions == PositionKind::learned) e = e + weights_.position_embedding.narrow(0, 0, shape.length);
  return blocks(0, to_rows(e, shape), shape, pass);
}

at::Tensor Transformer::resume(std::int64_t layer, const at::Tensor& residual, const at::Tensor& a,
                               const BatchShape& shape, const PassOptions& pass) const {
  const LayerWeights& w = weights_.layers.at(static_cast<std::size_t>(layer));
  return blocks(layer + 1, residual + at::linear(a, w.down_weight, w.down_bias), shape, pass);
}

at::Tensor Transformer::blocks(std::int64_t first, at::Tensor h, const BatchShape& shape,
                               const PassOptions& pass) const {
  // Made for the prompt at hand: tables for all positions a model allows would be hundreds of megabytes.
  RotaryTables rotary;
  if (architecture_.positions == PositionKind::rotary) {
    rotary = rotary_tables(architecture_.rotary, architecture_.d_head, shape.length, options());
  }
  for (std::int64_t layer = first; layer < architecture_.layers; ++layer) {
    const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
    h = h + attention(layer, h, shape, rotary, pass);
    if (pass.residual) pass.residual(layer, h);
    at::Tensor a = mlp_neurons(layer, h, pass);
    if (pass.neurons) a = pass.neurons(layer, a);
    h = h + at::linear(a, w.down_weight, w.down_bias);
  }
  return h;
}

at::Tensor Transformer::norm(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                             const PassOptions& pass) const {
  return normalise(h, weight, bias, architecture_.norm, architecture_.norm_epsilon, derivative_of(Rule::norm, h, pass));
}

at::Tensor Transformer::attention(std::int64_t layer, const at::Tensor& h, const BatchShape& shape,
                                  const RotaryTables& rotary, const PassOptions& pass) const {
  const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
  const at::Tensor x = norm(h, w.attention_norm_weight, w.attention_norm_bias, pass);
  const auto split = [&shape, this](const at::Tensor& rows) {  // [rows, heads * d] → [batch, pos, heads, d]
    return from_rows(rows, shape).view({shape.batch, shape.length, -1, architecture_.d_head});
  };
  at::Tensor q = split(at::linear(x, w.query_weight, w.query_bias));
  at::Tensor k = split(at::linear(x, w.key_weight, w.key_bias));
  const at::Tensor v = split(at::linear(x, w.value_weight, w.value_bias));
  if (architecture_.positions == PositionKind::rotary) {
    q = rotate(q, rotary);
    k = rotate(k, rotary);
  }
  if (derivative_of(Rule::attention, q, pass) == Derivative::replaced) {  // the pattern is a constant
    q = q.detach();
    k = k.detach();
  }
  const auto heads_first = [this](const at::Tensor& t) { return spread_heads(t, architecture_.heads).transpose(1, 2); };
  const bool windowed = architecture_.sliding_window && *architecture_.sliding_window < shape.length;
  const at::Tensor mixed = at::scaled_dot_product_attention(  // [batch, head, pos, d]
      heads_first(q), heads_first(k), heads_first(v),
      windowed ? std::optional(causal_mask(shape.length)) : std::nullopt,
      /*dropout_p=*/0.0, /*is_causal=*/!windowed);
  const at::Tensor joined = mixed.transpose(1, 2).reshape({shape.batch, shape.length, -1});
  return at::linear(to_rows(joined, shape), w.output_weight, w.output_bias);
}

at::Tensor Transformer::causal_mask(std::int64_t length) const {
  const at::Tensor seen = at::ones({length, length}, options().dtype(at::kBool)).tril();
  return seen.logical_and(at::ones_like(seen).triu(1 - *architecture_.sliding_window));
}

at::Tensor Transformer::mlp_neurons(std::int64_t layer, const at::Tensor& h, const PassOptions& pass) const {
  const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
  const at::Tensor x = norm(h, w.mlp_norm_weight, w.mlp_norm_bias, pass);
  const at::Tensor up = at::linear(x, w.up_weight, w.up_bias);  // [rows, neurons]
  if (architecture_.mlp == MlpKind::plain) {
    return activate(up, architecture_.activation, derivative_of(Rule::activation, up, pass));
  }
  const at::Tensor z = at::linear(x, w.gate_weight, w.gate_bias);
  const at::Tensor s = activate(z, architecture_.activation, derivative_of(Rule::activation, z, pass));
  return gate(s, up, derivative_of(Rule::half, s, pass));
}

at::Tensor Transformer::last_rows(const at::Tensor& stream, const BatchShape& shape) const {
  const at::Tensor rows = at::arange(1, shape.batch + 1, stream.options().dtype(at::kLong)) * shape.length - 1;
  const at::Tensor last = at::index_select(stream, 0, rows);  // [batch, d_model]
  return to_rows(last.unsqueeze(1), {shape.batch, 1});
}

at::Tensor Transformer::metric(const at::Tensor& stream, const BatchShape& shape, const MetricTokens& tokens,
                               const PassOptions& pass) const {
  const at::Tensor last = norm(last_rows(stream, shape), weights_.final_norm_weight, weights_.final_norm_bias, pass);
  const at::Tensor h = last.narrow(0, 0, shape.batch).to(score_type());  // [batch, d_model]
  const at::Tensor rows = at::index_select(weights_.unembedding, 0, tokens.tokens.reshape({-1}))
                              .view({shape.batch, tokens.tokens.size(1), architecture_.d_model})
                              .to(score_type());              // [batch, k, d_model]
  const at::Tensor logits = (h.unsqueeze(1) * rows).sum(-1);  // [batch, k]
  return (logits * tokens.coefficients).sum(-1);
}

at::Tensor Transformer::last_logits(const at::Tensor& stream, const BatchShape& shape) const {
  const at::Tensor h = norm(last_rows(stream, shape), weights_.final_norm_weight, weights_.final_norm_bias, {});
  return at::linear(h, weights_.unembedding).narrow(0, 0, shape.batch);
}

at::Tensor Transformer::all_logits(const at::Tensor& stream, const BatchShape& shape) const {
  const at::Tensor h = norm(stream, weights_.final_norm_weight, weights_.final_norm_bias, {});
  return from_rows(at::linear(h, weights_.unembedding), shape);
}

}  // namespace tributary
