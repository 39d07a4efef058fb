// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/writer.h"

#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"

namespace tributary {
namespace {

/// x [pair, pos, width] times a matrix, as rows padded to a multiple of 32.
template <typename Product>
at::Tensor by_rows(const at::Tensor& x, const at::TensorOptions& options, const Product& product) {
  const at::Tensor rows = x.flatten(0, 1);
  return detail::used(product(detail::padded_copy(rows, options)), rows.size(0)).unflatten(0, {x.size(0), x.size(1)});
}

}  // namespace

at::Tensor Writer::apply(const at::Tensor& v) const { return at::linear(v, weight_, bias_); }

at::Tensor Writer::pull_back(const at::Tensor& gradient) const { return at::mm(gradient, weight_); }

at::Tensor Writer::move(const at::Tensor& difference, at::ScalarType type) const {
  const auto product = [this](const at::Tensor& rows) { return at::linear(rows, weight_); };
  return by_rows(difference, weight_.options(), product).to(type);
}

at::Tensor Writer::pull_back(const at::Tensor& gradient, at::ScalarType type) const {
  const auto product = [this](const at::Tensor& rows) { return pull_back(rows); };
  return by_rows(gradient, weight_.options(), product).to(type);
}

at::Tensor Writer::columns(const at::Tensor& nodes, at::ScalarType type) const {
  return at::index_select(weight_, 1, nodes).to(type).t();
}

WriterLine::WriterLine(Writer writer, at::Tensor resid, const at::Tensor& difference)
    : writer_(std::move(writer)), resid_(std::move(resid)), positions_(difference.size(1)) {
  const at::Tensor moved = writer_.move(difference, resid_.scalar_type());  // [pair, pos, d_model]
  moved_ = detail::at_all_positions(moved, resid_.size(1));                 // [pair, suffix, d_model]
}

at::Tensor WriterLine::resid_at(const at::Tensor& pairs, const at::Tensor& distance) const {
  const at::Tensor step =
      at::index_select(moved_, 0, pairs) * distance;  // apart: a fused multiply-add rounds otherwise
  return at::index_select(resid_, 0, pairs) + step;
}

at::Tensor WriterLine::slopes(const at::Tensor& pairs, const at::Tensor& gradient) const {
  return detail::sum_by_position(at::index_select(moved_, 0, pairs) * gradient);
}

at::Tensor WriterLine::slopes(const at::Tensor& gradient) const { return detail::sum_by_position(moved_ * gradient); }

at::Tensor WriterLine::to_nodes(const at::Tensor& gradient) const {
  const at::Tensor used = gradient.narrow(1, gradient.size(1) - positions_, positions_);  // where v moves
  return writer_.pull_back(used, resid_.scalar_type());
}

}  // namespace tributary
