// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/record.h"

#include <ATen/ATen.h>

#include <utility>

namespace tributary {

Record::Record(const Transformer& model, const std::vector<at::Tensor>& embeddings, std::int64_t shared,
               const at::Tensor& directions, Flops* flops)
    : model_(&model), directions_(directions) {
  const auto groups = static_cast<std::int64_t>(embeddings.size());
  const std::int64_t length = embeddings.front().size(1);
  for (const at::Tensor& e : embeddings) embeddings_.push_back(e.narrow(1, shared, length - shared));
  Batch batch;
  batch.length = length;
  batch.live = length - shared;
  batch.entries = {{0, groups == 1 ? embeddings_.front() : at::cat(embeddings_)}};
  if (shared > 0) {
    batch.pairs = at::arange(pairs(), directions.options().dtype(at::kLong)).repeat({groups});
    batch.prefix_embeddings = embeddings.front().narrow(1, 0, shared);
  }
  ForwardOptions options;
  options.tape = ForwardOptions::Tape::keep;
  options.prefix = &prefix_;
  options.flops = flops;
  options.neurons = [this](std::int64_t, const at::Tensor& a) { neurons_.push_back(a); };
  pass_ = model.forward(std::move(batch), options);
  metric_ = model.metric(pass_.stream, directions_.repeat({groups, 1}));
}

const at::Tensor& Record::embeddings(std::int64_t group) const {
  return embeddings_.at(static_cast<std::size_t>(group));
}

at::Tensor Record::neurons(std::int64_t group, std::int64_t layer) const {
  return neurons_.at(static_cast<std::size_t>(layer)).narrow(0, group * pairs(), pairs());
}

at::Tensor Record::stream_after(std::int64_t group, std::int64_t layer) const {
  const auto block = static_cast<std::size_t>(layer) + 1;
  if (block < pass_.blocks.size()) {
    const at::Tensor& rows = pass_.blocks[block].stream;
    return rows.narrow(0, pass_.front + group * pairs() * live(), pairs() * live()).unflatten(0, {pairs(), live()});
  }
  const at::Tensor last = pass_.stream.narrow(0, group * pairs(), pairs());  // [pair, 1, d_model]
  at::Tensor all = at::zeros({pairs(), live(), last.size(2)}, last.options());
  all.narrow(1, live() - 1, 1).copy_(last);
  return all;
}

at::Tensor Record::metric(std::int64_t group) const { return metric_.narrow(0, group * pairs(), pairs()); }

RecordGradients Record::gradients(std::int64_t group, Rules rules, Flops* flops) const {
  const auto layers = static_cast<std::size_t>(model_->architecture().layers);
  RecordGradients found;
  found.neurons.resize(layers);
  found.streams.resize(layers);
  BackwardOptions options;
  options.rules = rules;
  options.flops = flops;
  options.neurons = [&](std::int64_t layer, const at::Tensor&, const at::Tensor& gradient) {
    found.neurons[static_cast<std::size_t>(layer)] = gradient;
  };
  options.stream = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block > 0) found.streams[static_cast<std::size_t>(block) - 1] = gradient.clone();
  };
  const at::Tensor stream = pass_.stream.narrow(0, group * pairs(), pairs());
  const at::Tensor top = model_->metric_gradient(stream, directions_, options);  // [pair, 1, d_model]
  at::Tensor above = at::zeros({pairs(), live(), top.size(2)}, top.options());
  above.narrow(1, live() - 1, 1).copy_(top);
  found.streams.back() = above;
  model_->backward(pass_, range(group), top, options);
  return found;
}

}  // namespace tributary
