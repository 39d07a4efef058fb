// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/embedding_path.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <utility>

#include "attribution/methods/detail/fused_sums.h"
#include "attribution/methods/detail/staged_points.h"
#include "attribution/model/detail/staging.h"

namespace tributary {

EmbeddingTaps::EmbeddingTaps(const std::vector<NodeTable>& tables, What what) : what_(what) {
  for (const NodeTable& table : tables) {
    if (table.site == Site::embeddings || columns_.contains(table.site)) continue;
    columns_[table.site] = {width_, table.width()};
    width_ += table.width();
  }
}

at::Tensor EmbeddingTaps::columns(const at::Tensor& all, Site site) const {
  const Columns& own = columns_.at(site);
  return own.count == width_ ? all : all.narrow(-1, own.first, own.count);
}

std::vector<Site> EmbeddingTaps::sites() const {
  std::vector<Site> sites;
  for (const auto& [site, columns] : columns_) sites.push_back(site);
  return sites;
}

namespace {

/// Puts what is read in a layer of some points [point, pos, width], the last positions, at its place among all
/// [point, layer, suffix, width]. Before them there is nothing: gradients are zero, and the values do not matter.
void put(const at::Tensor& all, std::int64_t layer, const at::Tensor& one) {
  const at::Tensor place = all.select(1, layer);  // [point, suffix, width]
  if (one.size(1) < place.size(1)) place.zero_();
  detail::copy_rows(place.narrow(1, place.size(1) - one.size(1), one.size(1)), one);
}

}  // namespace

EmbeddingPath::EmbeddingPath(const BaseRuns& runs, std::int64_t end_group, at::Tensor start, std::int64_t start_group,
                             Rules rules, EmbeddingTaps taps, Batching batching, Flops* flops)
    : runs_(runs),
      end_group_(end_group),
      start_group_(start_group),
      start_(std::move(start)),
      end_(runs.embeddings(end_group)),
      moved_(end_ - start_),
      rules_(rules),
      taps_(std::move(taps)),
      batching_(std::move(batching)),
      flops_(flops) {}

void EmbeddingPath::evaluate(const std::vector<PathPoint>& points, const Visit& visit) const {
  Indices at_start, inside, at_end;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const bool start = points[i].alpha == 0 && start_group_ != not_run;
    const bool end = points[i].alpha == 1;
    (start ? at_start : end ? at_end : inside).push_back(i);
  }
  at_base_runs(points, at_start, start_group_, visit);
  const auto most = static_cast<std::size_t>(batching_.sequences(runs_.suffix()));
  for (std::size_t first = 0; first < inside.size(); first += most) {
    batching_.pause();
    const auto begin = inside.begin() + static_cast<std::ptrdiff_t>(first);
    run(points, {begin, begin + static_cast<std::ptrdiff_t>(std::min(most, inside.size() - first))}, visit);
  }
  at_base_runs(points, at_end, end_group_, visit);
}

void EmbeddingPath::run(const std::vector<PathPoint>& points, const Indices& indices, const Visit& visit) const {
  const detail::StagedPoints staged = detail::stage(points, indices, end_.options());
  const at::Tensor from = at::index_select(start_, 0, staged.examples);  // [point, suffix, d_model]
  const at::Tensor change = at::index_select(moved_, 0, staged.examples);
  Batch batch;
  batch.length = runs_.length();
  batch.suffix = runs_.suffix();
  // Exactly the start where nothing changes: so it makes no difference whether those positions are computed here. (The
  // other end comes from the runs.) In separate operations, without a fused tail.
  batch.entries = {{0, from + change * staged.alpha}};
  batch.pairs = staged.examples;
  batch.prefix = runs_.prefix();
  batch.reads = runs_.directions().reads;
  const auto count = static_cast<std::int64_t>(indices.size());
  const at::Tensor values = values_of(count);
  ForwardOptions options;
  options.tape = ForwardOptions::Tape::keep;
  options.flops = flops_;
  for (const Site site : taps_.sites()) {
    // Neurons' values come with the way down, which computes them again.
    if (values.defined() && site != Site::neurons) hook_at(options, site) = keep_in(values, site);
  }
  const Pass pass = runs_.model().forward(std::move(batch), options);
  backward_to_embeddings(pass, {0, count}, values, staged.examples, indices, visit);
}

/// Room for the values of some points [point, layer, suffix, column]; undefined where nobody asks for them.
at::Tensor EmbeddingPath::values_of(std::int64_t points) const {
  if (!taps_.any() || !taps_.values()) return {};
  return at::empty({points, runs_.model().architecture().layers(), runs_.suffix(), taps_.width()}, end_.options());
}

ForwardOptions::Values EmbeddingPath::keep_in(const at::Tensor& values, Site site) const {
  return
      [this, values, site](std::int64_t layer, const at::Tensor& one) { put(taps_.columns(values, site), layer, one); };
}

void EmbeddingPath::at_base_runs(const std::vector<PathPoint>& points, const Indices& indices, std::int64_t group,
                                 const Visit& visit) const {
  // Runs of neighbouring pairs, which lie side by side in the runs.
  for (std::size_t first = 0; first < indices.size();) {
    std::size_t end = first + 1;
    while (end < indices.size() && points[indices[end]].example == points[indices[end - 1]].example + 1) ++end;
    const auto count = static_cast<std::int64_t>(end - first);
    const std::int64_t pair = points[indices[first]].example;
    const at::Tensor examples = at::arange(pair, pair + count, end_.options().dtype(at::kLong));
    const at::Tensor values = values_of(count);
    for (const Site site : taps_.sites()) {
      if (!values.defined() || site == Site::neurons) continue;
      for (std::int64_t layer = 0; layer < values.size(1); ++layer) {
        put(taps_.columns(values, site), layer, runs_.values(site, group, layer).narrow(0, pair, count));
      }
    }
    backward_to_embeddings(
        runs_.pass(), {runs_.range(group).first + pair, count}, values, examples,
        {indices.begin() + static_cast<std::ptrdiff_t>(first), indices.begin() + static_cast<std::ptrdiff_t>(end)},
        visit);
    first = end;
  }
}

void EmbeddingPath::backward_to_embeddings(const Pass& pass, SequenceRange range, const at::Tensor& values,
                                           const at::Tensor& examples, const Indices& indices,
                                           const Visit& visit) const {
  const Transformer& model = runs_.model();
  const Architecture& a = model.architecture();
  const std::int64_t suffix = runs_.suffix();
  at::Tensor gradients, inputs;  // [point, layer, pos, column], [point, pos, d_model]
  if (taps_.any()) gradients = at::empty({range.count, a.layers(), suffix, taps_.width()}, end_.options());
  const auto store = [&](Site site) -> BackwardOptions::Gradients {
    if (!taps_.has(site)) return {};
    return [&, site](std::int64_t layer, const at::Tensor& gradient) {
      put(taps_.columns(gradients, site), layer, gradient);
    };
  };
  BackwardOptions options;
  options.rules = rules_;
  options.flops = flops_;
  options.z = store(Site::z);
  options.mlp_written = store(Site::mlp_written);
  options.mlp_out = [&](std::int64_t layer, const at::Tensor& gradient) {  // dm/dresid_post
    if (taps_.has(Site::mlp_out)) put(taps_.columns(gradients, Site::mlp_out), layer, gradient);
    if (taps_.has(Site::resid_post)) put(taps_.columns(gradients, Site::resid_post), layer, gradient);
  };
  options.resid_mid = store(Site::resid_mid);
  if (taps_.has(Site::neurons)) {
    if (values.defined()) options.values = BackwardOptions::Values::recompute;
    options.neurons = [&](std::int64_t layer, const at::Tensor& value, const at::Tensor& gradient) {
      put(taps_.columns(gradients, Site::neurons), layer, gradient);
      if (values.defined()) put(taps_.columns(values, Site::neurons), layer, value);
    };
  }
  options.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block == 0) inputs = gradient.clone();
    const bool is_block = block < model.architecture().layers();
    if (is_block && taps_.has(Site::resid_pre)) put(taps_.columns(gradients, Site::resid_pre), block, gradient);
  };
  const at::Tensor resid = pass.resid.narrow(0, range.first, range.count);
  const LogitDirections directions = runs_.directions().select(examples);
  const at::Tensor metric = model.metric(resid, directions);
  model.backward(pass, range, model.metric_gradient(resid, directions, options), options);

  const at::Tensor slope = detail::sum_by_position(at::index_select(moved_, 0, examples) * inputs);
  const at::Tensor numbers = at::stack({metric.to(at::kDouble), slope}).cpu();  // [2, point]
  const auto* metrics = numbers.const_data_ptr<double>();
  const double* slopes = metrics + range.count;
  for (std::int64_t i = 0; i < range.count; ++i) {
    visit(indices[static_cast<std::size_t>(i)], {metrics[i], slopes[i], values.defined() ? values[i] : at::Tensor(),
                                                 gradients.defined() ? gradients[i] : at::Tensor(), inputs[i]});
  }
}

}  // namespace tributary
