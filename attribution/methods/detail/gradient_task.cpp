// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include <c10/core/InferenceMode.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <limits>

#include "attribution/methods/detail/node_scores.h"
#include "attribution/methods/detail/task_scores.h"
#include "attribution/model/detail/staging.h"
#include "attribution/nodes/noise.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary::detail {
namespace {

/// Shape of a task's scores on a micro-batch: [pair, layer, suffix, node].
std::vector<std::int64_t> shape_of(const MicroBatch& micro, const TaskScores& task) {
  return {micro.pairs(), task.layers(), micro.suffix(), task.nodes().nodes};
}

void add_differences_times_gradients(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.working();
  const BaseGradients& gradients = micro.gradients(base_group(task.method()), task.method().rules);
  const at::Tensor scores = at::empty(shape_of(micro, task), runs.model().score_options());
  share_loop(task.layers(), 1, [&](std::int64_t first, std::int64_t end) {
    const c10::InferenceMode inference;  // of the thread
    for (std::int64_t l = first; l < end; ++l) {
      const std::int64_t layer = task.options().layers.first + l;
      const at::Tensor difference = micro.difference(runs, task.method(), task.options(), layer);  // [pair, pos, width]
      const at::Tensor gradient = gradients.at_site(task.nodes().site, layer, difference.size(1));
      if (gradient.size(1) < micro.suffix()) scores.select(1, l).zero_();  // the last layer has some positions only
      write_products(scores.select(1, l), difference, gradient.to(difference.scalar_type()), task.nodes());
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

/// What is read at a site of the last layer, of the base runs' groups at all positions [group, pair, pos, width]: they
/// have its kept positions only.
at::Tensor last_layer(const BaseRuns& runs, Site site, std::int64_t groups) {
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
  at::Tensor values;
  ForwardOptions options;
  options.last_block = LastBlock::all_positions;
  hook_at(options, site) = [&values](std::int64_t, const at::Tensor& read) { values = read; };
  model.forward(std::move(batch), options);
  return values.to(model.score_type()).unflatten(0, {groups, runs.pairs()});
}

/// The difference from the baseline in the last layer, at all positions [pair, suffix, width].
at::Tensor last_difference(const MicroBatch& micro, const TaskScores& task) {
  const BaseRuns& runs = micro.working();
  const Site site = task.nodes().site;
  const at::Tensor groups = last_layer(runs, site, micro.paired() ? 2 : 1);
  switch (task.method().baseline) {
    case Baseline::pair:
      return groups[clean_group] - groups[counterfactual_group];
    case Baseline::zero:
      return groups[clean_group];
    case Baseline::mean:
      return groups[clean_group] - task.options()
                                       .mean.at(site)[runs.model().architecture().layers() - 1]
                                       .narrow(0, runs.length() - runs.suffix(), runs.suffix())
                                       .to(groups.scalar_type());
  }
  throw ContractViolation("a baseline outside the enumeration");
}

void add_magnitudes(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.working();
  const at::Tensor scores = at::empty(shape_of(micro, task), runs.model().score_options());
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    const std::int64_t layer = task.options().layers.first + l;
    const bool trimmed = layer + 1 == runs.model().architecture().layers() && task.nodes().site != Site::embeddings;
    const at::Tensor difference =  // [pair, suffix, width]
        trimmed ? last_difference(micro, task) : micro.difference(runs, task.method(), task.options(), layer);
    scores.select(1, l).copy_(node_norms(difference, task.nodes()));
  }
  task.add(scores);
}

void add_noise(const MicroBatch& micro, TaskScores& task) {
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : micro.length();
  const at::Tensor one =
      noise(task.nodes(), positions, task.options().seed).narrow(0, task.options().layers.first, task.layers());
  task.add(one.unsqueeze(0).expand({micro.pairs(), -1, -1, -1}));
}

void add_imported(const MicroBatch& micro, TaskScores& task) {
  const at::Tensor one = task.options().given.narrow(0, task.options().layers.first, task.layers());
  task.add(one.unsqueeze(0).expand({micro.pairs(), -1, -1, -1}));
}

void add_exact(const MicroBatch& micro, TaskScores& task) {
  const BaseRuns& runs = micro.exact();
  const std::int64_t positions = task.method().positions == Positions::sum ? 1 : micro.length();
  at::Tensor scores = at::full({micro.pairs(), task.layers(), positions, task.nodes().nodes},
                               std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  const at::Tensor sums = at::zeros({micro.pairs(), task.layers()}, at::kDouble);  // of the nodes that are patched
  for (std::int64_t l = 0; l < task.layers(); ++l) {
    std::vector<Node> here;
    for (const Node& node : task.options().sample) {
      if (node.layer == task.options().layers.first + l) here.push_back(node);
    }
    if (here.empty()) continue;
    const at::Tensor difference = micro.difference(runs, task.method(), task.options(), here.front().layer);
    const at::Tensor effects =  // [pair, node of the sample]
        exact_patching(runs, base_group(task.method()), task.nodes(), here, difference, task.method().direction,
                       micro.batching(), micro.flops());
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
    case ScoreKind::imported:
      return add_imported(micro, task);
    case ScoreKind::exact:
      return add_exact(micro, task);
    case ScoreKind::input:
    case ScoreKind::delta:
    case ScoreKind::conductance:
      return add_differences_times_gradients(micro, task);
  }
}

}  // namespace tributary::detail
