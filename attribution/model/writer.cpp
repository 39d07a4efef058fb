// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/writer.h"

#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"

namespace tributary {
namespace {

/// x [pair, pos, inner] times a matrix [inner, columns].
at::Tensor by_rows(const at::Tensor& x, const at::Tensor& matrix, const at::TensorOptions& options) {
  const at::Tensor rows = x.flatten(0, 1);
  const at::Tensor found = product(detail::padded_copy(rows, options), rows.size(0), matrix);
  return found.unflatten(0, {x.size(0), x.size(1)});
}

/// The residual stream's dtype for a network's.
at::ScalarType stream_type(const at::TensorOptions& network) {
  return network.dtype() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor times(const at::Tensor& x, double multiplier) { return multiplier == 1 ? x : x * multiplier; }

}  // namespace

WrittenStream WrittenStream::select(const at::Tensor& pairs) const {
  return {at::index_select(resid, 0, pairs), input.defined() ? at::index_select(input, 0, pairs) : input};
}

Written Writer::normalised(const at::Tensor& input) const {
  Written written{at::empty(input.sizes(), options_), input, at::empty({input.size(0), 2}, input.options())};
  normalise(input, post_norm_, written.added, written.mean_rstd);
  written.added = times(written.added, multiplier_);
  return written;
}

at::Tensor Writer::input(const at::Tensor& v, std::int64_t rows) const { return product(v, rows, weight_.t(), bias_); }

Written Writer::add(const at::Tensor& w) const {
  if (!has_norm()) return {times(w, multiplier_), {}, {}};
  return normalised(w.to(stream_type(options_)));
}

at::Tensor Writer::to_input(const at::Tensor& gradient, const Written& written, Derivative norm) const {
  at::Tensor scaled = times(gradient, multiplier_);
  if (!has_norm()) return scaled;
  const at::Tensor wide = at::zeros_like(written.input);
  at::Tensor narrow = scaled.scalar_type() == wide.scalar_type() ? at::Tensor() : at::empty_like(scaled);
  normalise_backward(scaled, written.input, written.mean_rstd, post_norm_, norm, wide, narrow);
  return narrow.defined() ? narrow : wide;
}

at::Tensor Writer::pull_back(const at::Tensor& gradient, std::int64_t rows) const {
  return product(gradient, rows, weight_);
}

at::Tensor Writer::move(const at::Tensor& difference, at::ScalarType type) const {
  return weight_.defined() ? by_rows(difference, weight_.t(), options_).to(type) : difference.to(type);
}

at::Tensor Writer::moved(WrittenStream&& base, const at::Tensor& difference) const {
  const auto add = [&difference](at::Tensor to, const at::Tensor& what) {
    to.narrow(1, to.size(1) - difference.size(1), difference.size(1)).add_(what);
  };
  if (!has_norm()) {
    add(base.resid, times(difference, multiplier_));
  } else {
    add(base.input, difference);
    base.resid.add_(normalised(base.input.flatten(0, 1)).added.view_as(base.resid));
  }
  return std::move(base.resid);
}

at::Tensor Writer::to_input(const at::Tensor& gradient, const WrittenStream& base, const at::Tensor& difference,
                            Derivative norm) const {
  if (!has_norm()) return times(gradient, multiplier_);
  const Written written = normalised((difference.defined() ? base.input + difference : base.input).flatten(0, 1));
  const at::Tensor rows = gradient.flatten(0, 1).to(options_.dtype().toScalarType());
  return to_input(rows, written, norm).to(gradient.scalar_type()).view_as(gradient);
}

at::Tensor Writer::pull_back(const at::Tensor& gradient, at::ScalarType type) const {
  return weight_.defined() ? by_rows(gradient, weight_, options_).to(type) : gradient.to(type);
}

at::Tensor Writer::columns(const at::Tensor& nodes, at::ScalarType type) const {
  return at::index_select(weight_, 1, nodes).to(type).t();
}

at::Tensor Writer::gains(at::ScalarType type) const {
  const at::Tensor ones = at::ones({weight_.defined() ? weight_.size(0) : 1}, options_.dtype(type));
  if (!has_norm()) return ones * multiplier_;
  return (post_norm_.weight.to(type) + post_norm_.gain_offset) * multiplier_;
}

WriterLine::WriterLine(Writer writer, WrittenStream base, const at::Tensor& difference)
    : writer_(std::move(writer)), base_(std::move(base)), positions_(difference.size(1)) {
  const at::Tensor moved = writer_.move(difference, base_.resid.scalar_type());  // [pair, pos, d_model]
  moved_ = detail::at_all_positions(moved, base_.resid.size(1));                 // [pair, suffix, d_model]
}

at::Tensor WriterLine::resid_at(const at::Tensor& pairs, const at::Tensor& distance) const {
  const at::Tensor step =
      at::index_select(moved_, 0, pairs) * distance;  // apart: a fused multiply-add rounds otherwise
  return writer_.moved(base_.select(pairs), step);
}

at::Tensor WriterLine::to_input(const at::Tensor& pairs, const at::Tensor& distance, const at::Tensor& gradient,
                                Derivative norm) const {
  if (!writer_.has_norm()) return writer_.to_input(gradient, base_, {}, norm);
  return writer_.to_input(gradient, base_.select(pairs), at::index_select(moved_, 0, pairs) * distance, norm);
}

at::Tensor WriterLine::to_input(const at::Tensor& gradient, Derivative norm) const {
  return writer_.to_input(gradient, base_, {}, norm);
}

at::Tensor WriterLine::slopes(const at::Tensor& pairs, const at::Tensor& gradient) const {
  return detail::sum_by_position(at::index_select(moved_, 0, pairs) * gradient);
}

at::Tensor WriterLine::slopes(const at::Tensor& gradient) const { return detail::sum_by_position(moved_ * gradient); }

at::Tensor WriterLine::to_nodes(const at::Tensor& gradient) const {
  const at::Tensor used = gradient.narrow(1, gradient.size(1) - positions_, positions_);  // where v moves
  return writer_.pull_back(used, base_.resid.scalar_type());
}

}  // namespace tributary
