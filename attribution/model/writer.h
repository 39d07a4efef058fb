// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How nodes reach the residual stream: resid += multiplier · post_norm(w), w = W v + b, with v the input of a
// sub-block's last matrix (z and W_O in attention, the neurons a and W_down in the MLP). Most families have neither a
// norm there nor a multiplier. This is the only place that knows it: forward and backward pass, paths through a layer's
// nodes and exact patching of single ones ask a writer. What is linear in v is w, the writer's input: paths are
// straight there, and gradients are averaged there.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "attribution/model/functions.h"

namespace tributary {

/// What a writer met in some runs: the stream that it added to, and its input. Of a writer without a norm the stream
/// with what it added in it, and no input: nothing else is needed there.
struct WrittenStream {
  at::Tensor resid;  //!< [pair, suffix, d_model], stream dtype
  at::Tensor input;  //!< w [pair, suffix, d_model], stream dtype, or undefined

  /// Those of some runs, by index [n] int64.
  [[nodiscard]] WrittenStream select(const at::Tensor& pairs) const;
};

/// What a writer adds to the stream, and what its norm's derivative needs.
struct Written {
  at::Tensor added;             //!< [rows, d_model], network dtype
  at::Tensor input, mean_rstd;  //!< [rows, d_model], [rows, 2], stream dtype; undefined without a norm
};

class Writer {
 public:
  /// weight [d_model, node], undefined: the identity; bias [d_model] or undefined; the network's dtype and device.
  Writer(at::Tensor weight, at::Tensor bias, at::TensorOptions options, double multiplier = 1,
         Norm post_norm = {{}, {}, NormKind::none})
      : weight_(std::move(weight)),
        bias_(std::move(bias)),
        options_(options),
        multiplier_(multiplier),
        post_norm_(std::move(post_norm)) {}

  /// The same of w itself: what it says of nodes is said of w's numbers.
  [[nodiscard]] Writer without_matrix() const { return {{}, {}, options_, multiplier_, post_norm_}; }

  [[nodiscard]] bool has_norm() const { return post_norm_.kind != NormKind::none; }
  /// b [d_model], or undefined.
  [[nodiscard]] const at::Tensor& bias() const { return bias_; }

  /// w [rows, d_model] from the first `rows` of v [padded rows, node], both network dtype.
  [[nodiscard]] at::Tensor input(const at::Tensor& v, std::int64_t rows) const;
  /// What is added to the stream from w; without norm and multiplier it is w itself, in its memory.
  [[nodiscard]] Written add(const at::Tensor& w) const;
  /// Both: what is added to the stream from v.
  [[nodiscard]] Written apply(const at::Tensor& v, std::int64_t rows) const { return add(input(v, rows)); }
  /// dm/dw [rows, d_model] from dm/dresid [rows, d_model], both network dtype; `written` has those rows. replaced (rule
  /// `norm`): the norm's denominator is a constant.
  [[nodiscard]] at::Tensor to_input(const at::Tensor& gradient, const Written& written, Derivative norm) const;
  /// dm/dv = Wᵀ dm/dw: [rows, node] from the first `rows` of [padded rows, d_model]; network dtype.
  [[nodiscard]] at::Tensor pull_back(const at::Tensor& gradient, std::int64_t rows) const;

  /// How w moves when v moves by a difference [pair, pos, node]: W Δv [pair, pos, d_model] in `type`. The bias cancels.
  [[nodiscard]] at::Tensor move(const at::Tensor& difference, at::ScalarType type) const;
  /// The stream after the writer [pair, suffix, d_model] where w moves by `difference` [pair, pos, d_model] at the last
  /// positions. Its memory is the base's.
  [[nodiscard]] at::Tensor moved(WrittenStream&& base, const at::Tensor& difference) const;
  /// dm/dw [pair, suffix, d_model] there, w having moved at all positions, from dm/dresid.
  [[nodiscard]] at::Tensor to_input(const at::Tensor& gradient, const WrittenStream& base, const at::Tensor& difference,
                                    Derivative norm) const;
  /// dm/dv [pair, pos, node] in `type` from dm/dw [pair, pos, d_model].
  [[nodiscard]] at::Tensor pull_back(const at::Tensor& gradient, at::ScalarType type) const;

  /// The columns of some nodes [n] int64: what one unit of each adds to w [n, d_model], in `type`.
  [[nodiscard]] at::Tensor columns(const at::Tensor& nodes, at::ScalarType type) const;
  /// What becomes of w on its way to the stream where the norm's denominator is 1 [d_model], in `type`.
  [[nodiscard]] at::Tensor gains(at::ScalarType type) const;

 private:
  [[nodiscard]] Written normalised(const at::Tensor& input) const;

  at::Tensor weight_, bias_;
  at::TensorOptions options_;
  double multiplier_;
  Norm post_norm_;
};

/// The straight line on which a layer's nodes move jointly, v = base + distance · difference, and w with them. Pairs
/// are examples; distance is 0 at the base run.
class WriterLine {
 public:
  /// base: of the base run. difference [pair, pos, node], network dtype, of the last `pos` positions: the others do not
  /// move.
  WriterLine(Writer writer, WrittenStream base, const at::Tensor& difference);

  /// The stream of some points [point, suffix, d_model]: by pair [point] int64, at distance [point, 1, 1].
  [[nodiscard]] at::Tensor resid_at(const at::Tensor& pairs, const at::Tensor& distance) const;
  /// dm/dw of the points [point, suffix, d_model], stream dtype, from dm/dresid.
  [[nodiscard]] at::Tensor to_input(const at::Tensor& pairs, const at::Tensor& distance, const at::Tensor& gradient,
                                    Derivative norm) const;
  /// The same for every pair in order, at the base run [pair, suffix, d_model].
  [[nodiscard]] at::Tensor to_input(const at::Tensor& gradient, Derivative norm) const;
  /// dm/ddistance [point] float64 from dm/dw of the points [point, suffix, d_model].
  [[nodiscard]] at::Tensor slopes(const at::Tensor& pairs, const at::Tensor& gradient) const;
  /// The same for every pair in order [pair].
  [[nodiscard]] at::Tensor slopes(const at::Tensor& gradient) const;
  /// dm/dv [pair, pos, node] in stream dtype from dm/dw [pair, suffix, d_model]; it may be an average along the line,
  /// as Wᵀ is linear.
  [[nodiscard]] at::Tensor to_nodes(const at::Tensor& gradient) const;

 private:
  Writer writer_;
  WrittenStream base_;
  at::Tensor moved_;        // [pair, suffix, d_model]: W · difference
  std::int64_t positions_;  // the last ones, which move
};

}  // namespace tributary
