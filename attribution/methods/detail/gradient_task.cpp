// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "attribution/methods/detail/task_scores.h"
#include "attribution/model/detail/staging.h"
#include "common/errors.h"

namespace tributary::detail {
namespace {

/// [pair, layer, live, neuron] of zeros for a task on a piece.
at::Tensor empty_scores(const Piece& piece, const TaskScores& task, const Record& record) {
  return at::zeros({piece.pairs(), task.layers(), piece.live(), record.model().architecture().neurons},
                   record.model().score_options());
}

/// A layer's place in such scores, at its last positions.
at::Tensor place(const at::Tensor& scores, std::int64_t l, std::int64_t positions) {
  return scores.select(1, l).narrow(1, scores.size(2) - positions, positions);
}

void add_differences_times_gradients(const Piece& piece, TaskScores& task) {
  const Record& record = piece.working();
  const RecordGradients& gradients = piece.gradients(base_group(task.method()), task.method().rules);
  const at::Tensor scores = empty_scores(piece, task, record);
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    const std::int64_t layer = task.options().layers.first + l;
    const at::Tensor& gradient = gradients.neurons[static_cast<std::size_t>(layer)];  // [pair, pos, neuron]
    const at::Tensor difference = piece.difference(record, task.method(), task.options().mean, layer);
    at::Tensor here = place(scores, l, gradient.size(1));
    at::mul_out(here, difference, gradient.to(difference.scalar_type()));
  }
  task.add(scores);
  if (task.measures_gap()) {
    task.store_differences(sum_by_position(scores).cpu() - piece.effects(task.method(), task.options()).t());
  }
  PathIntegral one;
  one.evaluations = 1;
  for (std::int64_t pair = 0; pair < piece.pairs(); ++pair) task.store_spent(pair, 0, task.layers(), one);
}

/// a of the record's groups at all positions of the last layer [group, pair, pos, neuron]: the record has its last
/// position only.
at::Tensor last_layer(const Record& record, std::int64_t groups) {
  const Transformer& model = record.model();
  const std::int64_t layer = model.architecture().layers - 1;
  std::vector<at::Tensor> streams;
  for (std::int64_t group = 0; group < groups; ++group) {
    streams.push_back(layer == 0 ? record.embeddings(group) : record.stream_after(group, layer - 1));
  }
  Batch batch;
  batch.length = record.length();
  batch.live = record.live();
  batch.entries = {{layer, at::cat(streams)}};
  batch.pairs = at::arange(record.pairs(), record.directions().options().dtype(at::kLong)).repeat({groups});
  batch.prefix = record.prefix();
  at::Tensor neurons;
  ForwardOptions options;
  options.last_block = LastBlock::all_positions;
  options.neurons = [&neurons](std::int64_t, const at::Tensor& a) { neurons = a; };
  model.forward(std::move(batch), options);
  return neurons.to(model.score_type()).unflatten(0, {groups, record.pairs()});
}

/// The difference from the baseline in the last layer, at all positions [pair, live, neuron].
at::Tensor last_difference(const Piece& piece, const TaskScores& task) {
  const Record& record = piece.working();
  const at::Tensor groups = last_layer(record, piece.paired() ? 2 : 1);
  switch (task.method().baseline) {
    case Baseline::pair:
      return groups[clean_group] - groups[counterfactual_group];
    case Baseline::zero:
      return groups[clean_group];
    case Baseline::mean:
      return groups[clean_group] - task.options()
                                       .mean.activations[record.model().architecture().layers - 1]
                                       .narrow(0, record.length() - record.live(), record.live())
                                       .to(groups.scalar_type());
  }
  throw ContractViolation("a baseline outside the enumeration");
}

void add_magnitudes(const Piece& piece, TaskScores& task) {
  const Record& record = piece.working();
  const at::Tensor scores = empty_scores(piece, task, record);
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    const std::int64_t layer = task.options().layers.first + l;
    const bool last = layer + 1 == record.model().architecture().layers;
    const at::Tensor difference =
        last ? last_difference(piece, task) : piece.difference(record, task.method(), task.options().mean, layer);
    place(scores, l, difference.size(1)).copy_(difference.abs());
  }
  task.add(scores);
}

void add_noise(const Piece& piece, TaskScores& task) {
  const Architecture& a = piece.working().model().architecture();
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : piece.length();
  const at::Tensor one =
      noise(a.layers, positions, a.neurons, task.options().seed).narrow(0, task.options().layers.first, task.layers());
  task.add(one.unsqueeze(0).expand({piece.pairs(), -1, -1, -1}));
}

void add_exact(const Piece& piece, TaskScores& task) {
  const Record& record = piece.exact();
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : piece.length();
  at::Tensor scores = at::full({piece.pairs(), task.layers(), positions, record.model().architecture().neurons},
                               std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    std::vector<Neuron> here;
    for (const Neuron& neuron : task.options().sample) {
      if (neuron.layer == task.options().layers.first + l) here.push_back(neuron);
    }
    if (here.empty()) continue;
    const at::Tensor difference = piece.difference(record, task.method(), task.options().mean, here.front().layer);
    const at::Tensor effects =  // [pair, neuron of the sample]
        exact_patching(record, base_group(task.method()), here, difference, task.method().direction, piece.batching(),
                       piece.flops());
    for (std::size_t n = 0; n < here.size(); ++n) {
      scores.select(1, l)
          .select(1, std::max<std::int64_t>(here[n].position, 0))
          .select(1, here[n].index)
          .copy_(effects.select(1, static_cast<std::int64_t>(n)));
    }
    piece.pause();
  }
  task.add(scores);
}

}  // namespace

void run_gradient_task(const Piece& piece, TaskScores& task) {
  switch (task.method().score) {
    case ScoreKind::magnitude:
      return add_magnitudes(piece, task);
    case ScoreKind::noise:
      return add_noise(piece, task);
    case ScoreKind::exact:
      return add_exact(piece, task);
    case ScoreKind::input:
    case ScoreKind::delta:
    case ScoreKind::conductance:
      return add_differences_times_gradients(piece, task);
  }
}

}  // namespace tributary::detail
