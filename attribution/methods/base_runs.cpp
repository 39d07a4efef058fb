// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/base_runs.h"
#include "attribution/model/tensors.h"

#include <utility>

#include "attribution/model/detail/rows.h"

namespace tributary {

BaseRuns::BaseRuns(const Transformer& model, const std::vector<at::Tensor>& embeddings, std::int64_t shared,
                   LogitDirections directions, Flops* flops)
    : model_(&model), directions_(std::move(directions)) {
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
  options.neurons = [this](std::int64_t, const at::Tensor& a) { neurons_.push_back(a); };
  pass_ = model.forward(std::move(batch), options);
  metric_ = model.metric(pass_.resid, directions_.repeat(groups));
}

const at::Tensor& BaseRuns::embeddings(std::int64_t group) const {
  return embeddings_.at(static_cast<std::size_t>(group));
}

at::Tensor BaseRuns::neurons(std::int64_t group, std::int64_t layer) const {
  return neurons_.at(static_cast<std::size_t>(layer)).narrow(0, group * pairs(), pairs());
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

WrittenStream BaseRuns::mlp_written(std::int64_t group, std::int64_t layer) const {
  const BlockTape& tape = pass_.blocks[static_cast<std::size_t>(layer)];
  if (!tape.mlp_written.input.defined()) return {resid_post(group, layer), {}};
  const bool trimmed = layer + 1 == model_->architecture().layers();
  const std::int64_t positions = trimmed ? directions_.reads.kept() : suffix();
  const auto of_group = [&](const at::Tensor& rows) {
    const std::int64_t first = (trimmed ? 0 : pass_.prefix_rows) + group * pairs() * positions;
    const at::Tensor own = rows.narrow(0, first, pairs() * positions).unflatten(0, {pairs(), positions});
    return detail::at_all_positions(own, suffix());
  };
  return {of_group(tape.mlp_stream), of_group(tape.mlp_written.input)};
}

at::Tensor BaseRuns::metric(std::int64_t group) const { return metric_.narrow(0, group * pairs(), pairs()); }

BaseGradients BaseRuns::gradients(std::int64_t group, Rules rules, Flops* flops) const {
  const auto layers = static_cast<std::size_t>(model_->architecture().layers());
  BaseGradients found;
  found.neurons.resize(layers);
  found.resid_post.resize(layers);
  BackwardOptions options;
  options.rules = rules;
  options.flops = flops;
  options.neurons = [&](std::int64_t layer, const at::Tensor&, const at::Tensor& gradient) {
    found.neurons[static_cast<std::size_t>(layer)] = gradient;
  };
  options.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block > 0) found.resid_post[static_cast<std::size_t>(block) - 1] = gradient.clone();
  };
  const at::Tensor resid = pass_.resid.narrow(0, group * pairs(), pairs());
  const at::Tensor top = model_->metric_gradient(resid, directions_, options);  // [pair, kept, d_model]
  found.resid_post.back() = detail::at_all_positions(top, suffix());
  model_->backward(pass_, range(group), top, options);
  return found;
}

}  // namespace tributary
