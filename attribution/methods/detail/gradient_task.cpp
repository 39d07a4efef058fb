// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <c10/core/InferenceMode.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <limits>

#include "attribution/methods/detail/task_scores.h"
#include "attribution/model/detail/staging.h"
#include "attribution/nodes/noise.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary::detail {
namespace {

/// [pair, layer, suffix, neuron] of zeros for a task on a micro-batch.
at::Tensor empty_scores(const MicroBatch& micro, const TaskScores& task, const BaseRuns& runs) {
  return at::zeros({micro.pairs(), task.layers(), micro.suffix(), runs.model().architecture().neurons},
                   runs.model().score_options());
}

/// A layer's place in such scores, at its last positions.
at::Tensor place(const at::Tensor& scores, std::int64_t l, std::int64_t positions) {
  return scores.select(1, l).narrow(1, scores.size(2) - positions, positions);
}

void add_differences_times_gradients(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.working();
  const BaseGradients& gradients = micro.gradients(base_group(task.method()), task.method().rules);
  const at::Tensor scores =
      at::empty({micro.pairs(), task.layers(), micro.suffix(), runs.model().architecture().neurons},
                runs.model().score_options());
  share_loop(task.layers(), 1, [&](std::int64_t first, std::int64_t end) {
    const c10::InferenceMode inference;  // of the thread
    for (std::int64_t l = first; l < end; ++l) {
      const std::int64_t layer = task.options().layers.first + l;
      const at::Tensor& gradient = gradients.neurons[static_cast<std::size_t>(layer)];  // [pair, pos, neuron]
      const at::Tensor difference = micro.difference(runs, task.method(), task.options().mean, layer);
      if (gradient.size(1) < micro.suffix()) scores.select(1, l).zero_();  // the last layer has some positions only
      at::Tensor here = place(scores, l, gradient.size(1));
      at::mul_out(here, difference, gradient.to(difference.scalar_type()));
    }
  });
  task.add(scores);
  const std::vector<char> measured = task.gap_pairs(micro.pairs());
  if (any_marked(measured)) {
    task.store({Differences::Kind::linearisation_gap,
                sum_by_position(scores).cpu() - micro.effects(task.method(), task.options(), measured).t()});
  }
  for (std::int64_t pair = 0; pair < micro.pairs(); ++pair) task.store_evaluations(pair, 0, task.layers(), 1);
}

/// a of the base runs' groups at all positions of the last layer [group, pair, pos, neuron]: they have its kept
/// positions only.
at::Tensor last_layer(const BaseRuns& runs, std::int64_t groups) {
  const Transformer& model = runs.model();
  const std::int64_t layer = model.architecture().layers() - 1;
  std::vector<at::Tensor> streams;
  for (std::int64_t group = 0; group < groups; ++group) {
    streams.push_back(layer == 0 ? runs.embeddings(group) : runs.resid_post(group, layer - 1));
  }
  Batch batch;
  batch.length = runs.length();
  batch.suffix = runs.suffix();
  batch.entries = {{layer, at::cat(streams)}};
  batch.pairs = at::arange(runs.pairs(), runs.directions().rows.options().dtype(at::kLong)).repeat({groups});
  batch.prefix = runs.prefix();
  at::Tensor neurons;
  ForwardOptions options;
  options.last_block = LastBlock::all_positions;
  options.neurons = [&neurons](std::int64_t, const at::Tensor& a) { neurons = a; };
  model.forward(std::move(batch), options);
  return neurons.to(model.score_type()).unflatten(0, {groups, runs.pairs()});
}

/// The difference from the baseline in the last layer, at all positions [pair, suffix, neuron].
at::Tensor last_difference(const MicroBatch& micro, const TaskScores& task) {
  const BaseRuns& runs = micro.working();
  const at::Tensor groups = last_layer(runs, micro.paired() ? 2 : 1);
  switch (task.method().baseline) {
    case Baseline::pair:
      return groups[clean_group] - groups[counterfactual_group];
    case Baseline::zero:
      return groups[clean_group];
    case Baseline::mean:
      return groups[clean_group] - task.options()
                                       .mean.activations[runs.model().architecture().layers() - 1]
                                       .narrow(0, runs.length() - runs.suffix(), runs.suffix())
                                       .to(groups.scalar_type());
  }
  throw ContractViolation("a baseline outside the enumeration");
}

void add_magnitudes(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.working();
  const at::Tensor scores = empty_scores(micro, task, runs);
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    const std::int64_t layer = task.options().layers.first + l;
    const bool last = layer + 1 == runs.model().architecture().layers();
    const at::Tensor difference =
        last ? last_difference(micro, task) : micro.difference(runs, task.method(), task.options().mean, layer);
    place(scores, l, difference.size(1)).copy_(difference.abs());
  }
  task.add(scores);
}

void add_noise(const MicroBatch& micro, TaskScores& task) {
  const Architecture& a = micro.working().model().architecture();
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : micro.length();
  const at::Tensor one = noise(a.layers(), positions, a.neurons, task.options().seed)
                             .narrow(0, task.options().layers.first, task.layers());
  task.add(one.unsqueeze(0).expand({micro.pairs(), -1, -1, -1}));
}

void add_exact(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.exact();
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : micro.length();
  at::Tensor scores = at::full({micro.pairs(), task.layers(), positions, runs.model().architecture().neurons},
                               std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const at::Tensor sums = at::zeros({micro.pairs(), task.layers()}, at::kDouble);  // of the neurons that are patched
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    std::vector<Neuron> here;
    for (const Neuron& neuron : task.options().sample) {
      if (neuron.layer == task.options().layers.first + l) here.push_back(neuron);
    }
    if (here.empty()) continue;
    const at::Tensor difference = micro.difference(runs, task.method(), task.options().mean, here.front().layer);
    const at::Tensor effects =  // [pair, neuron of the sample]
        exact_patching(runs, base_group(task.method()), here, difference, task.method().direction, micro.batching(),
                       micro.flops());
    for (std::size_t n = 0; n < here.size(); ++n) {
      scores.select(1, l)
          .select(1, std::max<std::int64_t>(here[n].position, 0))
          .select(1, here[n].index)
          .copy_(effects.select(1, static_cast<std::int64_t>(n)));
    }
    sums.select(1, l).copy_(effects.sum(1));
    micro.pause();
  }
  task.expect_finite(sums);
  task.add(scores);
}

}  // namespace

void run_gradient_task(const MicroBatch& micro, TaskScores& task) {
  switch (task.method().score) {
    case ScoreKind::magnitude:
      return add_magnitudes(micro, task);
    case ScoreKind::noise:
      return add_noise(micro, task);
    case ScoreKind::exact:
      return add_exact(micro, task);
    case ScoreKind::input:
    case ScoreKind::delta:
    case ScoreKind::conductance:
      return add_differences_times_gradients(micro, task);
  }
}

}  // namespace tributary::detail
