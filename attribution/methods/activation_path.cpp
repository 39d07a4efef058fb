// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/activation_path.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "attribution/methods/detail/staged_points.h"
#include "attribution/model/detail/rows.h"
#include "attribution/model/detail/staging.h"
#include "attribution/model/tensors.h"

namespace tributary {

ActivationPath::ActivationPath(const BaseRuns& runs, std::int64_t base_group, double base_alpha, Site site,
                               LayerRange layers, const std::vector<at::Tensor>& differences, Rules rules,
                               Batching batching, Flops* flops, const std::vector<std::int64_t>& some)
    : runs_(runs),
      base_group_(base_group),
      base_alpha_(base_alpha),
      site_(site),
      layers_(layers),
      rules_(rules),
      batching_(std::move(batching)),
      flops_(flops) {
  at::Tensor chosen;  // [pair of the lines] int64
  if (!some.empty()) {
    std::vector<std::int64_t> places(static_cast<std::size_t>(runs.pairs()), -1);
    for (std::size_t i = 0; i < some.size(); ++i)
      places.at(static_cast<std::size_t>(some[i])) = static_cast<std::int64_t>(i);
    chosen = detail::staged(some, runs.directions().rows.options());
    places_ = detail::staged(places, runs.directions().rows.options());
  }
  for (std::int64_t l = 0; l < layers.count(); ++l) {
    const std::int64_t layer = layers.first + l;
    const WrittenStream base = runs.written(site, base_group, layer);
    lines_.emplace_back(site_writer(runs.model(), site, layer), chosen.defined() ? base.select(chosen) : base,
                        differences[static_cast<std::size_t>(l)]);
  }
}

void ActivationPath::know_base(const BaseGradients& gradients) {
  for (std::int64_t l = 0; l < layers_.count(); ++l) base_gradients_.push_back(gradients.at_place(place(l)));
}

/// Points of one layer in a network call, which enter the network together above that layer.
struct ActivationPath::LayerPoints {
  std::int64_t l = 0;
  at::Tensor pairs;     // [point] int64
  at::Tensor in_line;   // the pairs' places in the line
  at::Tensor distance;  // [point, 1, 1] from the base run
  Indices indices;      // of the points in the caller's list
  at::Tensor gradient;  // dm/dw [point, suffix, d_model], w the writer's input, once it is known
};

/// A network call: its layers' points, and the finished pass through the blocks above them.
struct ActivationPath::SuffixRun {
  std::vector<LayerPoints> layers;
  LogitDirections directions;
  Pass pass;
  at::Tensor metric;  // [point]
};

/// Points in order of layers, cut so that the rows at the top fit one call.
std::vector<ActivationPath::Indices> ActivationPath::calls(const std::vector<PathPoint>& points, Indices chosen) const {
  const std::int64_t pairs = runs_.pairs();
  std::stable_sort(chosen.begin(), chosen.end(),
                   [&](std::size_t a, std::size_t b) { return points[a].example / pairs < points[b].example / pairs; });
  const auto most = static_cast<std::size_t>(batching_.sequences(runs_.suffix()));
  std::vector<Indices> cut;
  for (std::size_t first = 0; first < chosen.size(); first += most) {
    const auto begin = chosen.begin() + static_cast<std::ptrdiff_t>(first);
    cut.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(std::min(most, chosen.size() - first)));
  }
  return cut;
}

/// A call's points, layer by layer, on the device.
std::vector<ActivationPath::LayerPoints> ActivationPath::by_layer(const std::vector<PathPoint>& points,
                                                                  const Indices& call) const {
  const detail::StagedPoints staged = detail::stage(points, call, runs_.directions().rows.options());
  const at::Tensor pairs = staged.examples.remainder(runs_.pairs());
  const at::Tensor distance = staged.alpha - base_alpha_;
  std::vector<LayerPoints> layers;
  for (std::size_t first = 0; first < call.size(); first += layers.back().indices.size()) {
    LayerPoints here;
    here.l = points[call[first]].example / runs_.pairs();
    for (std::size_t i = first; i < call.size() && points[call[i]].example / runs_.pairs() == here.l; ++i) {
      here.indices.push_back(call[i]);
    }
    const auto count = static_cast<std::int64_t>(here.indices.size());
    here.pairs = pairs.narrow(0, static_cast<std::int64_t>(first), count);
    here.in_line = places_.defined() ? at::index_select(places_, 0, here.pairs) : here.pairs;
    here.distance = distance.narrow(0, static_cast<std::int64_t>(first), count);
    layers.push_back(std::move(here));
  }
  return layers;
}

ActivationPath::SuffixRun ActivationPath::run_above(std::vector<LayerPoints> layers, ForwardOptions::Tape tape) const {
  std::vector<at::Tensor> pairs;
  Batch batch;
  batch.length = runs_.length();
  batch.suffix = runs_.suffix();
  batch.reads = runs_.directions().reads;
  batch.prefix = runs_.prefix();
  for (const LayerPoints& here : layers) {
    const StreamPlace enters = place(here.l);
    batch.entries.push_back({enters.block, line(here.l).resid_at(here.in_line, here.distance), enters.before});
    pairs.push_back(here.pairs);
  }
  batch.pairs = at::cat(pairs);
  SuffixRun run{std::move(layers), runs_.directions().select(batch.pairs), {}, {}};
  ForwardOptions options;
  options.tape = tape;
  options.flops = flops_;
  run.pass = runs_.model().forward(std::move(batch), options);
  run.metric = runs_.model().metric(run.pass.resid, run.directions);
  return run;
}

void ActivationPath::evaluate(const std::vector<PathPoint>& points, const Visit& visit) const {
  Indices at_base, inside;
  for (std::size_t i = 0; i < points.size(); ++i) {
    (points[i].alpha == base_alpha_ && !base_gradients_.empty() ? at_base : inside).push_back(i);
  }
  // In ascending order of alpha: the base run is at one end.
  if (base_alpha_ == 0) visit_base(points, at_base, visit);
  for (const Indices& call : calls(points, inside)) {
    batching_.pause();
    run(points, call, visit);
  }
  if (base_alpha_ != 0) visit_base(points, at_base, visit);
}

void ActivationPath::run(const std::vector<PathPoint>& points, const Indices& call, const Visit& visit) const {
  const Transformer& model = runs_.model();
  SuffixRun above = run_above(by_layer(points, call), ForwardOptions::Tape::keep);
  BackwardOptions options;
  options.rules = rules_;
  options.flops = flops_;
  const auto take = [&](const StreamPlace& at, const at::Tensor& gradient) {
    // The sequences that entered here are the last ones of those that have entered.
    for (LayerPoints& here : above.layers) {
      if (place(here.l) != at) continue;
      const std::int64_t count = here.pairs.size(0);
      const at::Tensor own =
          detail::at_all_positions(gradient.narrow(0, gradient.size(0) - count, count), runs_.suffix());
      here.gradient = line(here.l).to_input(here.in_line, here.distance, own, norm_derivative()).clone();
    }
  };
  options.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    take({block, Before::attention}, gradient);
  };
  if (site_ == Site::z || site_ == Site::resid_mid) {
    options.resid_mid = [&](std::int64_t block, const at::Tensor& gradient) { take({block, Before::mlp}, gradient); };
  }
  const auto count = static_cast<std::int64_t>(call.size());
  model.backward(above.pass, {0, count}, model.metric_gradient(above.pass.resid, above.directions, options), options);

  std::vector<at::Tensor> slopes;
  for (const LayerPoints& here : above.layers) slopes.push_back(line(here.l).slopes(here.in_line, here.gradient));
  const at::Tensor numbers = at::stack({above.metric.to(at::kDouble), at::cat(slopes)}).cpu();  // [2, point]
  const auto* metric = numbers.const_data_ptr<double>();
  const double* slope = metric + count;
  for (const LayerPoints& here : above.layers) {
    for (std::size_t n = 0; n < here.indices.size(); ++n) {
      visit(here.indices[n], {*metric++, *slope++, {}, here.gradient.narrow(0, static_cast<std::int64_t>(n), 1), {}});
    }
  }
}

void ActivationPath::visit_base(const std::vector<PathPoint>& points, const Indices& indices,
                                const Visit& visit) const {
  if (indices.empty()) return;
  std::vector<at::Tensor> rows{runs_.metric(base_group_).to(at::kDouble)};
  std::vector<at::Tensor> gradients;  // [l] of [pair, suffix, d_model]
  for (std::int64_t l = 0; l < layers_.count(); ++l) {
    gradients.push_back(line(l).to_input(base_gradients_[static_cast<std::size_t>(l)], norm_derivative()));
    rows.push_back(line(l).slopes(gradients.back()));
  }
  const at::Tensor numbers = at::stack(rows).cpu();  // [1 + layer, pair]
  for (const std::size_t i : indices) {
    const std::int64_t l = points[i].example / runs_.pairs();
    const std::int64_t pair = points[i].example % runs_.pairs();
    const double* column = numbers.const_data_ptr<double>() + pair;
    const at::Tensor& gradient = gradients[static_cast<std::size_t>(l)];
    visit(i, {column[0], column[(l + 1) * runs_.pairs()], {}, gradient.narrow(0, pair, 1), {}});
  }
}

std::vector<double> ActivationPath::metrics(const std::vector<PathPoint>& points) const {
  Indices all(points.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> found(points.size());
  for (const Indices& call : calls(points, all)) {
    batching_.pause();
    const SuffixRun above = run_above(by_layer(points, call), ForwardOptions::Tape::none);
    const at::Tensor numbers = above.metric.to(at::kDouble).cpu();
    for (std::size_t i = 0; i < call.size(); ++i) found[call[i]] = numbers.const_data_ptr<double>()[i];
  }
  return found;
}

at::Tensor ActivationPath::to_values(std::int64_t l, const at::Tensor& gradients) const {
  return line(l).to_nodes(gradients);
}

}  // namespace tributary
