// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/transformer.h"

#include <ATen/core/grad_mode.h>
#include "attribution/model/tensors.h"

#include <utility>

#include "attribution/model/detail/rows.h"
#include "attribution/model/functions.h"
#include "attribution/model/products.h"

namespace tributary {
namespace {

/// The final norm, in the stream's dtype on a few rows.
Norm final_norm(const Architecture& architecture, const Weights& weights) {
  return norm_of(architecture.final_norm, weights.final_norm_weight, weights.final_norm_bias);
}

struct Normalised {
  at::Tensor rows, mean_rstd;
};

Normalised normalised(const at::Tensor& rows, const Norm& norm) {
  Normalised n{at::empty_like(rows), at::empty({rows.size(0), 2}, rows.options())};
  generic::normalise(rows, norm, n.rows, n.mean_rstd);
  return n;
}

}  // namespace

std::int64_t Batch::sequences() const {
  std::int64_t count = 0;
  for (const Entry& entry : entries) count += entry.resid.size(0);
  return count;
}

Batch whole_batch(const at::Tensor& embeddings, const ReadPositions& reads) {
  Batch batch;
  batch.length = batch.suffix = embeddings.size(1);
  batch.entries = {{0, embeddings}};
  batch.reads = reads;
  return batch;
}

bool has_own_products(const Transformer& model) {
  const Architecture& a = model.architecture();
  const at::ScalarType type = model.options().dtype().toScalarType();
  const auto own = [type](const at::Tensor& weight) {
    return proven_chain(type, form_of(weight)) && proven_chain(type, form_of(weight.t()));
  };
  // Other blocks have the same shapes, and shapes are all that counts.
  const LayerWeights& w = model.weights().layers.front();
  return own(w.query_weight(a.query_width())) && own(w.key_value_weight(a.query_width())) && own(w.qkv_weight) &&
         own(w.output_weight) && own(w.expand_weight) && own(w.down_weight);
}

Transformer::Transformer(Architecture architecture, Weights weights)
    : architecture_(std::move(architecture)), weights_(std::move(weights)) {
  if (!weights_.options.has_dtype()) weights_.options = weights_.embedding.options();
  for (LayerWeights& layer : weights_.layers) layer.options = weights_.options;
}

at::ScalarType Transformer::score_type() const { return options().dtype() == at::kDouble ? at::kDouble : at::kFloat; }

Writer Transformer::attention_writer(std::int64_t layer) const {
  return weights_.layers[static_cast<std::size_t>(layer)].attention_writer(architecture_.block(layer));
}

Writer Transformer::mlp_writer(std::int64_t layer) const {
  return weights_.layers[static_cast<std::size_t>(layer)].mlp_writer(architecture_.block(layer));
}

at::Tensor Transformer::embed(const at::Tensor& ids) const {
  const at::Tensor rows = at::index_select(weights_.embedding, 0, ids.reshape({-1}).to(options().device()));
  at::Tensor e = rows.to(score_type()).view({ids.size(0), ids.size(1), architecture_.d_model});
  if (architecture_.embedding_multiplier == 1) return e;
  at::Tensor multiplier = at::full({}, architecture_.embedding_multiplier, options().dtype(at::kDouble));
  if (architecture_.embedding_multiplier_precision == Architecture::Precision::network) {
    multiplier = multiplier.to(options().dtype());
  }
  return e * multiplier.to(score_type());
}

LogitDirections Transformer::logit_directions(const MetricTokens& tokens) const {
  const at::NoGradGuard no_gradients;
  const std::int64_t k = tokens.tokens.size(1);
  const auto direction = [&](std::int64_t j) {  // [batch, d_model]
    const at::Tensor rows = at::index_select(weights_.unembedding, 0, tokens.tokens.select(1, j)).to(score_type());
    return architecture_.logit_multiplier == 1 ? rows : rows * architecture_.logit_multiplier;
  };
  if (architecture_.logit_softcap) {
    std::vector<at::Tensor> each;
    for (std::int64_t j = 0; j < k; ++j) each.push_back(direction(j));
    return {.reads = {}, .rows = at::stack(each, 1).unsqueeze(1), .coefficients = tokens.coefficients};
  }
  at::Tensor sum = at::zeros({tokens.tokens.size(0), architecture_.d_model}, score_options());
  for (std::int64_t j = 0; j < k; ++j) sum.add_(direction(j) * tokens.coefficients[j]);
  return {.reads = {}, .rows = sum.unsqueeze(1), .coefficients = {}};  // [batch, 1, d_model]: at the last position
}

namespace {

/// Products of rows h [row, d_model] and their directions [row, token, d_model]: logits before the cap [row, token].
at::Tensor products(const at::Tensor& h, const at::Tensor& directions) { return (h.unsqueeze(1) * directions).sum(-1); }

}  // namespace

at::Tensor Transformer::metric(const at::Tensor& resid, const LogitDirections& directions) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor read = directions.reads.rows_of(resid);  // [sequence * read, d_model]
  const at::Tensor h = normalised(read, final_norm(architecture_, weights_)).rows;
  const at::Tensor rows = directions.rows.flatten(0, 1);
  at::Tensor by_row;  // [sequence * read]
  if (directions.coefficients.defined()) {
    const at::Tensor capped = generic::softcap(products(h, rows), *architecture_.logit_softcap);
    by_row = (capped * directions.coefficients).sum(-1);
  } else {
    by_row = (h * rows).sum(-1);
  }
  const at::Tensor by_read = by_row.unflatten(0, {resid.size(0), -1});
  at::Tensor m = by_read.select(1, 0);
  for (std::int64_t i = 1; i < by_read.size(1); ++i) m = m + by_read.select(1, i);
  return m;
}

at::Tensor Transformer::metric_gradient(const at::Tensor& resid, const LogitDirections& directions,
                                        const BackwardOptions& options) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor read = directions.reads.rows_of(resid);  // [sequence * read, d_model]
  const Norm norm = final_norm(architecture_, weights_);
  const Normalised n = normalised(read, norm);
  const auto derivative = [&options](Rule rule) {
    const bool replaced = options.rules.has(rule);
    if (replaced && options.fired != nullptr) options.fired->count(rule);
    return replaced ? Derivative::replaced : Derivative::plain;
  };
  at::Tensor dh = directions.rows.flatten(0, 1);  // [sequence * read, d_model]
  if (directions.coefficients.defined()) {
    const at::Tensor factor =
        generic::softcap_factor(products(n.rows, dh), *architecture_.logit_softcap, derivative(Rule::softcap));
    dh = ((factor * directions.coefficients).unsqueeze(-1) * dh).sum(1);
  }
  if (options.biases && norm.bias.defined()) options.biases(norm.bias, dh);
  const at::Tensor gradient = at::zeros_like(n.rows);
  generic::normalise_backward(dh, read, n.mean_rstd, norm, derivative(Rule::norm), gradient, {});
  return directions.reads.among_kept(gradient);
}

at::Tensor Transformer::logits(const at::Tensor& resid) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor rows = resid.flatten(0, 1);
  const at::Tensor padded = detail::padded_copy(rows, resid.options());
  const at::Tensor h = normalised(padded, final_norm(architecture_, weights_)).rows.to(options());
  at::Tensor all = product(h, rows.size(0), weights_.unembedding.t());
  if (architecture_.logit_multiplier != 1) all = all * architecture_.logit_multiplier;
  if (architecture_.logit_softcap) all = generic::softcap(all, *architecture_.logit_softcap);
  return all.unflatten(0, {resid.size(0), resid.size(1)});
}

}  // namespace tributary
