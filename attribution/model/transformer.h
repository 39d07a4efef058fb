// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The forward pass of every family, from its description. The residual stream is kept as padded rows
// [rows, d_model], rows = batch × pos rounded up to a multiple of 32: then no bit of a sequence's
// result depends on what else is in the batch (design.md, Bits).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "attribution/model/architecture.h"
#include "attribution/model/rotary.h"
#include "attribution/model/rules.h"
#include "attribution/model/weights.h"

namespace tributary {

/// How sequences lie in rows: sequence b, position t is row b × length + t; the rest is padding.
struct BatchShape {
  std::int64_t batch = 0;
  std::int64_t length = 0;

  [[nodiscard]] std::int64_t used() const { return batch * length; }
  [[nodiscard]] std::int64_t rows() const { return (used() + 31) / 32 * 32; }
};

/// [batch, pos, width] → [rows, width], padding rows zero.
at::Tensor to_rows(const at::Tensor& sequences, const BatchShape& shape);
/// [rows, width] → [batch, pos, width], a view.
at::Tensor from_rows(const at::Tensor& rows, const BatchShape& shape);

/// The metric's linear form on the logits of the last position: m = Σ_j coefficient_j · logit_{token_j}.
struct MetricTokens {
  at::Tensor tokens;        //!< [batch, k] int64
  at::Tensor coefficients;  //!< [k], metric dtype

  /// Those of some pairs, by index [n] int64, or of `count` pairs in a row.
  [[nodiscard]] MetricTokens select(const at::Tensor& pairs) const;
  [[nodiscard]] MetricTokens narrow(std::int64_t first, std::int64_t count) const;
};

/// What happens at each layer's MLP neurons: called with the layer and a [rows, neurons] (the input of the down
/// projection); what it returns is used in its place.
using NeuronTap = std::function<at::Tensor(std::int64_t layer, const at::Tensor& a)>;
/// Called with the layer and the residual stream [rows, d_model] after attention, before the MLP.
using ResidualTap = std::function<void(std::int64_t layer, const at::Tensor& residual)>;

/// How one pass runs: its rules, and who listens. Not shared between threads.
struct PassOptions {
  Rules rules;
  NeuronTap neurons;
  ResidualTap residual;
  Fired* fired = nullptr;  //!< counts the rules that entered the graph, when given
};

/// Immutable; one instance serves all threads of a process.
class Transformer {
 public:
  Transformer(Architecture architecture, Weights weights);

  [[nodiscard]] const Architecture& architecture() const { return architecture_; }
  [[nodiscard]] const Weights& weights() const { return weights_; }
  /// dtype and device of activations.
  [[nodiscard]] at::TensorOptions options() const { return weights_.embedding.options(); }
  /// dtype of metrics, scores and quadrature sums: float64 for a float64 model, else float32.
  [[nodiscard]] at::ScalarType score_type() const;

  /// Token embeddings e [batch, pos, d_model] of ids [batch, pos] (without position embedding: paths move tokens only).
  [[nodiscard]] at::Tensor embed(const at::Tensor& ids) const;

  /// Residual stream [rows, d_model] after all blocks, from embeddings e [batch, pos, d_model].
  [[nodiscard]] at::Tensor run(const at::Tensor& embeddings, const PassOptions& pass) const;

  /// The same from the middle of `layer`: its residual stream after attention [rows, d_model] and its neurons a [rows,
  /// neurons]. The taps are called for the layers above only.
  [[nodiscard]] at::Tensor resume(std::int64_t layer, const at::Tensor& residual, const at::Tensor& a,
                                  const BatchShape& shape, const PassOptions& pass) const;

  /// m [batch] in score_type, from the residual stream [rows, d_model] after all blocks.
  [[nodiscard]] at::Tensor metric(const at::Tensor& stream, const BatchShape& shape, const MetricTokens& tokens,
                                  const PassOptions& pass) const;

  /// Logits of the last position [batch, vocabulary], or of all positions [batch, pos, vocabulary].
  [[nodiscard]] at::Tensor last_logits(const at::Tensor& stream, const BatchShape& shape) const;
  [[nodiscard]] at::Tensor all_logits(const at::Tensor& stream, const BatchShape& shape) const;

 private:
  [[nodiscard]] at::Tensor attention(std::int64_t layer, const at::Tensor& h, const BatchShape& shape,
                                     const RotaryTables& rotary, const PassOptions& pass) const;
  [[nodiscard]] at::Tensor mlp_neurons(std::int64_t layer, const at::Tensor& h, const PassOptions& pass) const;
  [[nodiscard]] at::Tensor blocks(std::int64_t first, at::Tensor h, const BatchShape& shape,
                                  const PassOptions& pass) const;
  [[nodiscard]] at::Tensor norm(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                                const PassOptions& pass) const;
  [[nodiscard]] at::Tensor last_rows(const at::Tensor& stream, const BatchShape& shape) const;
  [[nodiscard]] at::Tensor causal_mask(std::int64_t length) const;

  Architecture architecture_;
  Weights weights_;
};

}  // namespace tributary
