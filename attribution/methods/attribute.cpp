// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/attribute.h"

#include <c10/core/InferenceMode.h>
#include "attribution/model/tensors.h"

#include <algorithm>

#include "attribution/methods/detail/feature_task.h"
#include "attribution/methods/detail/task_scores.h"
#include "attribution/model/products.h"
#include "common/errors.h"

namespace tributary {

const std::vector<RulePoints>& pilot_candidates() {
  static const std::vector<RulePoints> candidates = {
      {Quadrature::radau, 2},      {Quadrature::simpson, 3},    {Quadrature::boole, 5},
      {Quadrature::trapezoid, 9},  {Quadrature::trapezoid, 13}, {Quadrature::trapezoid, 17},
      {Quadrature::trapezoid, 25}, {Quadrature::trapezoid, 33}, {Quadrature::trapezoid, 65},
  };
  return candidates;
}

namespace {

/// Calls body(first, count) for as many pairs at a time as fit one network call: two runs of each.
template <typename Body>
void in_micro_batches(const Prompts& prompts, const Batching& batching, const Body& body) {
  const std::int64_t pairs = prompts.clean.size(0);
  const std::int64_t most = batching.sequences(2 * prompts.clean.size(1));
  for (std::int64_t first = 0; first < pairs; first += most) body(first, std::min(most, pairs - first));
}

/// Whether positions before the first difference have none in any of the methods' state.
bool may_share(const std::vector<Task>& tasks) {
  return std::all_of(tasks.begin(), tasks.end(),
                     [](const Task& task) { return task.method.baseline == Baseline::pair; });
}

/// Where the tasks read values; of the tokens' own scores nowhere.
Sites sites_of(const std::vector<Task>& tasks, const Architecture& architecture) {
  Sites sites;
  for (const Task& task : tasks) {
    if (!task.method.has_neurons()) continue;
    if (!detail::scores_features(task)) {
      sites.insert(task.options.nodes.site);
      continue;
    }
    for (const NodeTable& site : detail::feature_sites(task, architecture)) sites.insert(site.site);
  }
  return sites;
}

void run_tasks(const detail::MicroBatch& micro, std::vector<detail::TaskScores>& tasks) {
  std::vector<char> done(tasks.size(), 0);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (done[i] != 0) continue;
    if (tasks[i].layers() == 0) continue;  // embeddings, in a unit without the first layer
    if (detail::moves_embeddings(tasks[i].task())) {
      std::vector<detail::TaskScores*> together{&tasks[i]};
      for (std::size_t j = i + 1; j < tasks.size(); ++j) {
        if (tasks[j].layers() == 0 || !share_sweep(tasks[i], tasks[j])) continue;
        together.push_back(&tasks[j]);
        done[j] = 1;
      }
      run_embedding_tasks(micro, together);
    } else if (detail::scores_features(tasks[i].task())) {
      run_feature_task(micro, tasks[i]);
    } else if (tasks[i].method().path == PathKind::activations) {
      run_activation_task(micro, tasks[i]);
    } else {
      run_gradient_task(micro, tasks[i]);
    }
    micro.pause();
  }
}

}  // namespace

UnitOutcome attribute(const Networks& networks, const std::vector<Task>& tasks, const Prompts& prompts,
                      const UnitOptions& options) {
  const c10::InferenceMode inference;
  Flops flops;
  std::vector<detail::TaskScores> scores;
  for (const Task& task : tasks) {
    TRIBUTARY_EXPECT(task.options.nodes.width() > 0, "a task says whose scores it computes");
    scores.emplace_back(task, prompts.clean.size(0), prompts.clean.size(1));
  }
  std::vector<at::Tensor> metric;
  in_micro_batches(prompts, options.batching, [&](std::int64_t first, std::int64_t count) {
    Prompts some = prompts.narrow(first, count);
    if (!may_share(tasks)) some.shared = 0;
    const detail::MicroBatch micro(networks, some, sites_of(tasks, networks.exact->architecture()), options, &flops);
    for (detail::TaskScores& one : scores) one.begin(first);
    run_tasks(micro, scores);
    metric.push_back(micro.metric());
  });
  UnitOutcome outcome;
  for (detail::TaskScores& one : scores) outcome.scores.push_back(one.finish(at::cat(metric)));
  outcome.flops = flops.count;
  return outcome;
}

PilotChoices pilot(const Networks& networks, const Task& task, const Prompts& prompts, const UnitOptions& options) {
  const c10::InferenceMode inference;
  std::vector<at::Tensor> candidates, ratios;
  in_micro_batches(prompts, options.batching, [&](std::int64_t first, std::int64_t count) {
    Prompts some = prompts.narrow(first, count);
    if (!may_share({task})) some.shared = 0;
    const detail::MicroBatch micro(networks, some, sites_of({task}, networks.exact->architecture()), options, nullptr);
    const PilotChoices found =
        detail::moves_embeddings(task) ? embedding_pilot(micro, task) : activation_pilot(micro, task);
    candidates.push_back(found.candidate);
    ratios.push_back(found.ratio);
  });
  return {at::cat(candidates), at::cat(ratios)};
}

std::vector<std::int64_t> first_keys(const std::vector<Dictionary>& dictionaries, std::int64_t positions) {
  std::vector<std::int64_t> firsts{0};
  for (const Dictionary& dictionary : dictionaries) firsts.push_back(firsts.back() + positions * dictionary.features());
  return firsts;
}

Fired count_fired(const Transformer& model, std::int64_t blocks) {
  constexpr std::int64_t length = 2;  // an attention pattern needs two positions
  const c10::InferenceMode inference;
  const WithoutMultiplying dry;  // sites are counted, whatever the numbers
  const Architecture& a = model.architecture();
  Batch batch;
  batch.length = batch.suffix = length;
  batch.entries = {{a.layers() - blocks, at::ones({1, length, a.d_model}, model.score_options())}};
  ForwardOptions forward;
  forward.tape = ForwardOptions::Tape::keep;
  const Pass pass = model.forward(std::move(batch), forward);
  Fired fired;
  BackwardOptions backward;
  backward.rules = Rules::all().with(Rule::softcap);
  backward.fired = &fired;
  LogitDirections directions{{}, at::ones({1, 1, a.d_model}, model.score_options()), {}};
  if (a.logit_softcap) {  // a direction a token
    directions.rows = directions.rows.unsqueeze(2);
    directions.coefficients = at::ones({1}, model.score_options());
  }
  model.backward(pass, {0, 1}, model.metric_gradient(pass.resid, directions, backward), backward);
  return fired;
}

}  // namespace tributary
