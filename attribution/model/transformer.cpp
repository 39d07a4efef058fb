// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/transformer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

#include "attribution/model/functions.h"

namespace tributary {
namespace {

/// The final norm, in the stream's dtype on a few rows.
Norm final_norm(const Architecture& architecture, const Weights& weights) {
  return {weights.final_norm_weight, weights.final_norm_bias, architecture.norm, architecture.norm_epsilon};
}

/// The normalised rows and their statistics.
struct Normalised {
  at::Tensor rows, statistics;
};

Normalised normalised(const at::Tensor& rows, const Norm& norm) {
  Normalised n{at::empty_like(rows), at::empty({rows.size(0), 2}, rows.options())};
  generic::normalise(rows, norm, n.rows, n.statistics);
  return n;
}

}  // namespace

MetricTokens MetricTokens::select(const at::Tensor& pairs) const {
  return {at::index_select(tokens, 0, pairs), coefficients};
}

MetricTokens MetricTokens::narrow(std::int64_t first, std::int64_t count) const {
  return {tokens.narrow(0, first, count), coefficients};
}

std::int64_t Batch::sequences() const {
  std::int64_t count = 0;
  for (const Entry& entry : entries) count += entry.stream.size(0);
  return count;
}

std::int64_t padded_rows(std::int64_t rows) { return (rows + 31) / 32 * 32; }

Batch whole_batch(const at::Tensor& embeddings) {
  Batch batch;
  batch.length = batch.live = embeddings.size(1);
  batch.entries = {{0, embeddings}};
  return batch;
}

Transformer::Transformer(Architecture architecture, Weights weights)
    : architecture_(std::move(architecture)), weights_(std::move(weights)) {}

at::ScalarType Transformer::score_type() const {
  return weights_.embedding.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor Transformer::embed(const at::Tensor& ids) const {
  const at::Tensor rows = at::index_select(weights_.embedding, 0, ids.reshape({-1}).to(options().device()));
  return rows.to(score_type()).view({ids.size(0), ids.size(1), architecture_.d_model});
}

at::Tensor Transformer::directions(const MetricTokens& tokens) const {
  const at::NoGradGuard no_gradients;
  const std::int64_t k = tokens.tokens.size(1);
  at::Tensor sum = at::zeros({tokens.tokens.size(0), architecture_.d_model}, score_options());
  for (std::int64_t j = 0; j < k; ++j) {
    const at::Tensor rows = at::index_select(weights_.unembedding, 0, tokens.tokens.select(1, j)).to(score_type());
    sum.add_(rows * tokens.coefficients[j]);
  }
  return sum;
}

at::Tensor Transformer::metric(const at::Tensor& stream, const at::Tensor& directions) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor last = stream.select(1, stream.size(1) - 1);  // [sequence, d_model]
  return (normalised(last, final_norm(architecture_, weights_)).rows * directions).sum(-1);
}

at::Tensor Transformer::metric_gradient(const at::Tensor& stream, const at::Tensor& directions,
                                        const BackwardOptions& options) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor last = stream.select(1, stream.size(1) - 1);
  const Norm norm = final_norm(architecture_, weights_);
  const Normalised n = normalised(last, norm);
  const bool replaced = options.rules.has(Rule::norm);
  if (replaced && options.fired != nullptr) options.fired->count(Rule::norm);
  const at::Tensor gradient = at::zeros_like(n.rows);
  generic::normalise_backward(directions, last, n.statistics, norm, replaced ? Derivative::replaced : Derivative::plain,
                              gradient, {});
  return gradient.unsqueeze(1);
}

at::Tensor Transformer::logits(const at::Tensor& stream) const {
  const at::NoGradGuard no_gradients;
  const std::int64_t rows = stream.size(0) * stream.size(1);
  const at::Tensor padded = at::zeros({padded_rows(rows), architecture_.d_model}, stream.options());
  padded.narrow(0, 0, rows).copy_(stream.reshape({rows, -1}));
  const at::Tensor h = normalised(padded, final_norm(architecture_, weights_)).rows.to(options());
  return at::linear(h, weights_.unembedding).narrow(0, 0, rows).unflatten(0, {stream.size(0), stream.size(1)});
}

}  // namespace tributary
