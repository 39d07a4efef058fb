// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/base_runs.h"
#include "attribution/model/tensors.h"

#include <utility>

#include "attribution/model/detail/rows.h"
#include "attribution/nodes/site_visit.h"
#include "common/errors.h"

namespace tributary {

namespace {

/// Whether values of a site are collected on the way up, and gradients on the way down; those of the stream, of what
/// the MLP reads and of what it adds are there anyway.
bool has_values(Site site) {
  return site == Site::z || site == Site::neurons || site == Site::mlp_written || site == Site::mlp_out;
}
bool has_gradients(Site site) { return site == Site::z || site == Site::neurons || site == Site::mlp_written; }

}  // namespace

at::Tensor BaseGradients::at_site(Site site, std::int64_t layer, std::int64_t kept) const {
  const auto block = static_cast<std::size_t>(layer);
  if (site == Site::embeddings || site == Site::resid_pre) return resid_pre[block];
  if (has_gradients(site)) return sites.at(site)[block];
  const at::Tensor& all = site == Site::resid_mid ? resid_mid[block] : resid_pre[block + 1];
  const bool last = block + 2 == resid_pre.size();
  return last ? all.narrow(1, all.size(1) - kept, kept) : all;
}

const at::Tensor& BaseGradients::at_place(const StreamPlace& place) const {
  return (place.before == Before::mlp ? resid_mid : resid_pre)[static_cast<std::size_t>(place.block)];
}

BaseRuns::BaseRuns(const Transformer& model, const std::vector<at::Tensor>& embeddings, std::int64_t shared,
                   LogitDirections directions, Sites sites, Flops* flops)
    : model_(&model), directions_(std::move(directions)), sites_(std::move(sites)) {
  const auto groups = static_cast<std::int64_t>(embeddings.size());
  const std::int64_t length = embeddings.front().size(1);
  for (const at::Tensor& e : embeddings) embeddings_.push_back(e.narrow(1, shared, length - shared));
  Batch batch;
  batch.length = length;
  batch.suffix = length - shared;
  batch.reads = directions_.reads;
  batch.entries = {{0, groups == 1 ? embeddings_.front() : at::cat(embeddings_)}};
  if (shared > 0) {
    batch.pairs = at::arange(pairs(), directions_.rows.options().dtype(at::kLong)).repeat({groups});
    batch.prefix_embeddings = embeddings.front().narrow(1, 0, shared);
  }
  ForwardOptions options;
  options.tape = ForwardOptions::Tape::keep;
  options.prefix = &prefix_;
  options.flops = flops;
  for (const Site site : sites_) {
    if (!has_values(site)) continue;
    hook_at(options, site) = [&values = values_[site]](std::int64_t, const at::Tensor& value) {
      values.push_back(value);
    };
  }
  pass_ = model.forward(std::move(batch), options);
  metric_ = model.metric(pass_.resid, directions_.repeat(groups));
}

const at::Tensor& BaseRuns::embeddings(std::int64_t group) const {
  return embeddings_.at(static_cast<std::size_t>(group));
}

at::Tensor BaseRuns::values(Site site, std::int64_t group, std::int64_t layer) const {
  if (site == Site::embeddings) return embeddings(group);
  if (site == Site::resid_pre) return resid_post(group, layer - 1);
  if (!has_values(site)) return read_positions(stream_values(site, group, layer), layer);
  return values_.at(site).at(static_cast<std::size_t>(layer)).narrow(0, group * pairs(), pairs());
}

/// The positions of a layer past its attention [pair, pos, width]: in the last one the kept ones.
at::Tensor BaseRuns::read_positions(const at::Tensor& all, std::int64_t layer) const {
  const bool last = layer + 1 == model_->architecture().layers();
  const std::int64_t kept = last ? directions_.reads.kept() : suffix();
  return all.narrow(1, suffix() - kept, kept);
}

/// What a block's MLP reads or writes to in the stream [pair, suffix, d_model].
at::Tensor BaseRuns::stream_values(Site site, std::int64_t group, std::int64_t layer) const {
  if (site == Site::resid_post) return resid_post(group, layer);
  const BlockTape& tape = pass_.blocks[static_cast<std::size_t>(layer)];
  const BlockSpec& spec = model_->architecture().block(layer);
  TRIBUTARY_EXPECT(site != Site::resid_mid || spec.residual == Residual::sequential, "a parallel block has no middle");
  at::Tensor stream = past_attention(tape.mlp_stream, group, layer);
  if (site == Site::resid_mid) return stream;
  const at::Tensor mean_rstd = past_attention(tape.mlp_mean_rstd, group, layer);  // [pair, suffix, 2]
  return mlp_input(*model_, site, layer, stream, mean_rstd);
}

at::Tensor BaseRuns::resid_post(std::int64_t group, std::int64_t layer) const {
  const auto above = static_cast<std::size_t>(layer) + 1;
  if (above < pass_.blocks.size()) {
    const at::Tensor& rows = pass_.blocks[above].resid_pre;
    return rows.narrow(0, pass_.prefix_rows + group * pairs() * suffix(), pairs() * suffix())
        .unflatten(0, {pairs(), suffix()});
  }
  return detail::at_all_positions(pass_.resid.narrow(0, group * pairs(), pairs()), suffix());
}

/// A group's part [pair, suffix, width] of what the tape has past a layer's attention: in the last one of the kept
/// positions, zero elsewhere.
at::Tensor BaseRuns::past_attention(const at::Tensor& rows, std::int64_t group, std::int64_t layer) const {
  const bool trimmed = layer + 1 == model_->architecture().layers();
  const std::int64_t positions = trimmed ? directions_.reads.kept() : suffix();
  const std::int64_t first = (trimmed ? 0 : pass_.prefix_rows) + group * pairs() * positions;
  const at::Tensor own = rows.narrow(0, first, pairs() * positions).unflatten(0, {pairs(), positions});
  return detail::at_all_positions(own, suffix());
}

WrittenStream BaseRuns::written(Site site, std::int64_t group, std::int64_t layer) const {
  if (site == Site::embeddings) return {embeddings(group), {}};
  // Before the first block positions are added on the way in.
  if (site == Site::resid_pre) return {layer == 0 ? embeddings(group) : resid_post(group, layer - 1), {}};
  if (site == Site::resid_post) return {resid_post(group, layer), {}};
  const BlockTape& tape = pass_.blocks[static_cast<std::size_t>(layer)];
  const Written& written = site == Site::z ? tape.attention_written : tape.mlp_written;
  const bool sequential = model_->architecture().block(layer).residual == Residual::sequential;
  if (site == Site::mlp_out || site == Site::resid_mid || !written.input.defined()) {
    const bool within = (site == Site::z || site == Site::resid_mid) && sequential;
    return {within ? past_attention(tape.mlp_stream, group, layer) : resid_post(group, layer), {}};
  }
  const at::Tensor input = past_attention(written.input, group, layer);
  if (site != Site::z) return {past_attention(tape.mlp_stream, group, layer), input};
  TRIBUTARY_EXPECT(sequential, "no family norms what the attention of a parallel block adds");
  return {resid_post(group, layer - 1), input};
}

at::Tensor BaseRuns::metric(std::int64_t group) const { return metric_.narrow(0, group * pairs(), pairs()); }

BaseGradients BaseRuns::gradients(std::int64_t group, Rules rules, Flops* flops) const {
  const auto layers = static_cast<std::size_t>(model_->architecture().layers());
  BaseGradients found;
  found.resid_pre.resize(layers + 1);
  BackwardOptions options;
  options.rules = rules;
  options.flops = flops;
  for (const Site site : sites_) {
    if (has_gradients(site)) found.sites[site].resize(layers);
  }
  if (sites_.contains(Site::neurons)) {
    options.neurons = [&](std::int64_t layer, const at::Tensor&, const at::Tensor& gradient) {
      found.sites[Site::neurons][static_cast<std::size_t>(layer)] = gradient;
    };
  }
  if (sites_.contains(Site::mlp_written)) {
    options.mlp_written = [&](std::int64_t layer, const at::Tensor& gradient) {
      found.sites[Site::mlp_written][static_cast<std::size_t>(layer)] = gradient.clone();
    };
  }
  if (sites_.contains(Site::z)) {
    options.z = [&](std::int64_t layer, const at::Tensor& gradient) {
      found.sites[Site::z][static_cast<std::size_t>(layer)] = gradient;
    };
  }
  if (sites_.contains(Site::z) || sites_.contains(Site::resid_mid)) {
    found.resid_mid.resize(layers);
    options.resid_mid = [&](std::int64_t block, const at::Tensor& gradient) {
      found.resid_mid[static_cast<std::size_t>(block)] = detail::at_all_positions(gradient.clone(), suffix());
    };
  }
  const bool embeddings = sites_.contains(Site::embeddings) || sites_.contains(Site::resid_pre);
  options.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block > 0 || embeddings) found.resid_pre[static_cast<std::size_t>(block)] = gradient.clone();
  };
  const at::Tensor resid = pass_.resid.narrow(0, group * pairs(), pairs());
  const at::Tensor top = model_->metric_gradient(resid, directions_, options);  // [pair, kept, d_model]
  found.resid_pre.back() = detail::at_all_positions(top, suffix());
  model_->backward(pass_, range(group), top, options);
  return found;
}

}  // namespace tributary
