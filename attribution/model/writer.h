// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How nodes reach the residual stream: resid += W v + b, with v the input of a sub-block's last matrix (z and W_O in
// attention, the neurons a and W_down in the MLP). This is the only place that knows it: forward and backward pass,
// paths through a layer's nodes and exact patching of single ones ask a writer.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace tributary {

class Writer {
 public:
  /// weight [d_model, node]; bias [d_model] or undefined.
  Writer(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {}

  /// What is added to the stream, W v + b [rows, d_model], from v [rows, node]; network dtype, rows padded.
  [[nodiscard]] at::Tensor apply(const at::Tensor& v) const;
  /// dm/dv = Wᵀ dm/dresid: [rows, node] from [rows, d_model]; network dtype, rows padded.
  [[nodiscard]] at::Tensor pull_back(const at::Tensor& gradient) const;

  /// How the stream moves when v moves by a difference [pair, pos, node]: W Δv [pair, pos, d_model] in `type`. The bias
  /// cancels.
  [[nodiscard]] at::Tensor move(const at::Tensor& difference, at::ScalarType type) const;
  /// dm/dv [pair, pos, node] in `type` from dm/dresid [pair, pos, d_model].
  [[nodiscard]] at::Tensor pull_back(const at::Tensor& gradient, at::ScalarType type) const;

  /// The columns of some nodes [n] int64: what one unit of each adds [n, d_model], in `type`.
  [[nodiscard]] at::Tensor columns(const at::Tensor& nodes, at::ScalarType type) const;

 private:
  at::Tensor weight_, bias_;
};

/// The straight line on which a layer's nodes move jointly, v = base + distance · difference: a straight line in the
/// stream after the layer too, because W is linear. Pairs are examples; distance is 0 at the base run.
class WriterLine {
 public:
  /// resid: the base run's stream after the layer [pair, suffix, d_model], stream dtype. difference [pair, pos, node],
  /// network dtype, of the last `pos` positions: the others do not move.
  WriterLine(Writer writer, at::Tensor resid, const at::Tensor& difference);

  /// The stream of some points [point, suffix, d_model]: by pair [point] int64, at distance [point, 1, 1].
  [[nodiscard]] at::Tensor resid_at(const at::Tensor& pairs, const at::Tensor& distance) const;
  /// dm/ddistance [point] float64 from dm/dresid of the points [point, suffix, d_model].
  [[nodiscard]] at::Tensor slopes(const at::Tensor& pairs, const at::Tensor& gradient) const;
  /// The same for every pair in order [pair].
  [[nodiscard]] at::Tensor slopes(const at::Tensor& gradient) const;
  /// dm/dv [pair, pos, node] in stream dtype from dm/dresid [pair, suffix, d_model]; it may be an average along the
  /// line, as Wᵀ is linear.
  [[nodiscard]] at::Tensor to_nodes(const at::Tensor& gradient) const;

 private:
  Writer writer_;
  at::Tensor resid_;        // [pair, suffix, d_model]
  at::Tensor moved_;        // [pair, suffix, d_model]: W · difference
  std::int64_t positions_;  // the last ones, which move
};

}  // namespace tributary
