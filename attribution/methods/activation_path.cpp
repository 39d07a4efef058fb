// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/activation_path.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "attribution/model/detail/staging.h"
#include "common/errors.h"

namespace tributary {
namespace {

/// x [pair, pos, width] times a matrix, as rows padded to a multiple of 32.
template <typename Product>
at::Tensor by_rows(const at::Tensor& x, const at::TensorOptions& options, const Product& product) {
  const std::int64_t rows = x.size(0) * x.size(1);
  const at::Tensor padded = at::zeros({padded_rows(rows), x.size(2)}, options);
  padded.narrow(0, 0, rows).view(x.sizes()).copy_(x);
  return product(padded).narrow(0, 0, rows).unflatten(0, {x.size(0), x.size(1)});
}

/// Sum over positions and width of x * y, float64.
at::Tensor along(const at::Tensor& x, const at::Tensor& y) { return detail::sum_by_position(x * y); }

}  // namespace

ActivationPath::ActivationPath(const Record& record, std::int64_t base_group, double base_alpha, LayerRange layers,
                               const std::vector<at::Tensor>& differences, Rules rules, Batching batching, Flops* flops)
    : record_(record),
      base_group_(base_group),
      base_alpha_(base_alpha),
      layers_(layers),
      rules_(rules),
      batching_(std::move(batching)),
      flops_(flops) {
  const Transformer& model = record.model();
  for (std::int64_t l = 0; l < layers.count(); ++l) {
    const LayerWeights& w = model.weights().layers[static_cast<std::size_t>(layers.first + l)];
    const at::Tensor& difference = differences[static_cast<std::size_t>(l)];
    const at::Tensor moved = by_rows(difference, model.options(), [&w](const at::Tensor& rows) {
                               return at::linear(rows, w.down_weight);
                             }).to(model.score_type());  // [pair, pos, d_model]
    at::Tensor all = moved;
    if (moved.size(1) < record.live()) {  // the last layer: its last position alone reaches the metric
      all = at::zeros({moved.size(0), record.live(), moved.size(2)}, moved.options());
      all.narrow(1, record.live() - moved.size(1), moved.size(1)).copy_(moved);
    }
    moved_.push_back(all);
    base_.push_back(record.stream_after(base_group, layers.first + l));
  }
}

/// Points on their way up: the finished pass, and which examples and directions its sequences have.
struct ActivationPath::Climb {
  Pass pass;
  at::Tensor pairs;                  // [point]
  at::Tensor directions;             // [point, d_model]
  at::Tensor metric;                 // [point]
  std::vector<std::int64_t> counts;  // [l] points of each layer
};

/// Points in order of layers, cut so that the rows at the top fit one call.
std::vector<ActivationPath::Indices> ActivationPath::pieces(const std::vector<PathPoint>& points,
                                                            Indices chosen) const {
  const std::int64_t pairs = record_.pairs();
  std::stable_sort(chosen.begin(), chosen.end(),
                   [&](std::size_t a, std::size_t b) { return points[a].example / pairs < points[b].example / pairs; });
  const auto most = static_cast<std::size_t>(batching_.sequences(record_.live()));
  std::vector<Indices> cut;
  for (std::size_t first = 0; first < chosen.size(); first += most) {
    const auto begin = chosen.begin() + static_cast<std::ptrdiff_t>(first);
    cut.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(std::min(most, chosen.size() - first)));
  }
  return cut;
}

ActivationPath::Climb ActivationPath::climb(const std::vector<PathPoint>& points, const Indices& indices,
                                            ForwardOptions::Tape tape) const {
  Climb up;
  const detail::StagedPoints staged = detail::stage(points, indices, base_.front().options());
  up.pairs = staged.examples.remainder(record_.pairs());
  up.directions = at::index_select(record_.directions(), 0, up.pairs);
  up.counts.resize(static_cast<std::size_t>(layers_.count()));
  for (const std::size_t i : indices) ++up.counts[static_cast<std::size_t>(points[i].example / record_.pairs())];
  Batch batch;
  batch.length = record_.length();
  batch.live = record_.live();
  batch.pairs = up.pairs;
  batch.prefix = record_.prefix();
  const at::Tensor distance = staged.alpha - base_alpha_;
  std::int64_t first = 0;
  for (std::size_t l = 0; l < up.counts.size(); ++l) {
    if (up.counts[l] == 0) continue;
    const at::Tensor pairs = up.pairs.narrow(0, first, up.counts[l]);
    const at::Tensor step = at::index_select(moved_[l], 0, pairs) * distance.narrow(0, first, up.counts[l]);
    batch.entries.push_back({layers_.first + static_cast<std::int64_t>(l) + 1,  // [point, live, d_model]
                             at::index_select(base_[l], 0, pairs) + step});
    first += up.counts[l];
  }
  ForwardOptions options;
  options.tape = tape;
  options.flops = flops_;
  up.pass = record_.model().forward(std::move(batch), options);
  up.metric = record_.model().metric(up.pass.stream, up.directions);
  return up;
}

void ActivationPath::evaluate(const std::vector<PathPoint>& points, const Visit& visit) const {
  Indices at_base, inside;
  for (std::size_t i = 0; i < points.size(); ++i) {
    (points[i].alpha == base_alpha_ && !base_streams_.empty() ? at_base : inside).push_back(i);
  }
  // In ascending order of alpha: the base run is at one end.
  if (base_alpha_ == 0) visit_base(points, at_base, visit);
  for (const Indices& piece : pieces(points, inside)) {
    batching_.pause();
    run(points, piece, visit);
  }
  if (base_alpha_ != 0) visit_base(points, at_base, visit);
}

void ActivationPath::run(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const {
  const Transformer& model = record_.model();
  const Climb up = climb(points, indices, ForwardOptions::Tape::keep);
  const auto count = static_cast<std::int64_t>(indices.size());
  std::vector<at::Tensor> gradients(up.counts.size());  // [l] of [point, live, d_model]
  BackwardOptions options;
  options.rules = rules_;
  options.flops = flops_;
  options.stream = [&](std::int64_t block, const at::Tensor& gradient) {
    const std::int64_t l = block - 1 - layers_.first;
    if (l < 0 || l >= layers_.count()) return;
    const std::int64_t here = up.counts[static_cast<std::size_t>(l)];
    if (here == 0 || gradient.size(0) < here) return;
    gradients[static_cast<std::size_t>(l)] = gradient.narrow(0, gradient.size(0) - here, here).clone();
  };
  model.backward(up.pass, {0, count}, model.metric_gradient(up.pass.stream, up.directions, options), options);

  std::vector<at::Tensor> slopes;
  std::int64_t first = 0;
  for (std::size_t l = 0; l < up.counts.size(); ++l) {
    if (up.counts[l] == 0) continue;
    const at::Tensor moved = at::index_select(moved_[l], 0, up.pairs.narrow(0, first, up.counts[l]));
    slopes.push_back(along(moved, gradients[l]));
    first += up.counts[l];
  }
  const at::Tensor numbers = at::stack({up.metric.to(at::kDouble), at::cat(slopes)}).cpu();  // [2, point]
  const auto* metrics = numbers.const_data_ptr<double>();
  std::size_t i = 0;
  for (std::size_t l = 0; l < up.counts.size(); ++l) {
    for (std::int64_t n = 0; n < up.counts[l]; ++n, ++i) {
      visit(indices[i], {metrics[i], metrics[indices.size() + i], {}, gradients[l].narrow(0, n, 1), {}});
    }
  }
}

void ActivationPath::visit_base(const std::vector<PathPoint>& points, const Indices& indices,
                                const Visit& visit) const {
  if (indices.empty()) return;
  std::vector<at::Tensor> slopes{record_.metric(base_group_).to(at::kDouble)};
  for (std::int64_t l = 0; l < layers_.count(); ++l) {
    slopes.push_back(
        along(moved_[static_cast<std::size_t>(l)], base_streams_[static_cast<std::size_t>(layers_.first + l)]));
  }
  const at::Tensor numbers = at::stack(slopes).cpu();  // [1 + layer, pair]
  for (const std::size_t i : indices) {
    const std::int64_t l = points[i].example / record_.pairs();
    const std::int64_t pair = points[i].example % record_.pairs();
    const at::Tensor& gradient = base_streams_[static_cast<std::size_t>(layers_.first + l)];
    const double* row = numbers.const_data_ptr<double>() + pair;
    visit(i, {row[0], row[(l + 1) * record_.pairs()], {}, gradient.narrow(0, pair, 1), {}});
  }
}

std::vector<double> ActivationPath::metrics(const std::vector<PathPoint>& points) const {
  Indices all(points.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> found(points.size());
  for (const Indices& piece : pieces(points, all)) {
    batching_.pause();
    const at::Tensor numbers = climb(points, piece, ForwardOptions::Tape::none).metric.to(at::kDouble).cpu();
    for (std::size_t i = 0; i < piece.size(); ++i) found[piece[i]] = numbers.const_data_ptr<double>()[i];
  }
  return found;
}

at::Tensor ActivationPath::to_neurons(std::int64_t l, const at::Tensor& gradients) const {
  const Transformer& model = record_.model();
  const LayerWeights& w = model.weights().layers[static_cast<std::size_t>(layers_.first + l)];
  const bool last = layers_.first + l == model.architecture().layers - 1;
  const at::Tensor used = last ? gradients.narrow(1, record_.live() - 1, 1) : gradients;
  return by_rows(used, model.options(), [&w](const at::Tensor& rows) { return at::mm(rows, w.down_weight); })
      .to(model.score_type());  // [pair, pos, neuron]
}

}  // namespace tributary
