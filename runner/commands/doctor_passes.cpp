// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_passes.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "runner/commands/doctor_units.h"

namespace tributary {
namespace {

constexpr double conservation_limit = 1e-4;  // of float32's rounding through a deep network
constexpr double far_from_complete = 10;     // times the tolerance: no rounding, and no coarse quadrature
constexpr double least_effect = 0.01;        // of the prompts' difference: smaller effects are held against that

/// A forward pass of the clean prompts with all that a backward pass needs.
struct Upward {
  Pass pass;
  LogitDirections directions;
  std::vector<at::Tensor> neurons;  // [layer] of [pair, pos, neuron]
  at::Tensor stream;                // before block 0 [pair, pos, d_model]

  [[nodiscard]] std::int64_t pairs() const { return stream.size(0); }
};

Upward upward(const Transformer& network, const Prompts& prompts) {
  Upward run;
  run.directions = network.logit_directions(metric_tokens(network, prompts, {prompts.clean.numel(), {}}));
  ForwardOptions up;
  up.tape = ForwardOptions::Tape::keep;
  up.neurons = [&](std::int64_t, const at::Tensor& a) { run.neurons.push_back(a.clone()); };
  up.resid_pre = [&](std::int64_t block, const at::Tensor& resid) {
    if (block == 0) run.stream = resid.clone();
  };
  run.pass = network.forward(whole_batch(network.embed(prompts.clean)), up);
  return run;
}

void downward(const Transformer& network, const Upward& run, const BackwardOptions& options) {
  const at::Tensor top = network.metric_gradient(run.pass.resid, run.directions, options);
  network.backward(run.pass, {0, run.pairs()}, top, options);
}

/// Values after a plain backward pass, and before that one with rules, if there are any.
PassValues values_of(const Transformer& network, const Prompts& prompts, Rules rules) {
  const Upward run = upward(network, prompts);
  const auto layers = static_cast<std::size_t>(network.architecture().layers());
  PassValues values;
  values.neurons = run.neurons;
  values.recomputed.resize(layers);
  values.derivatives.resize(layers);
  BackwardOptions down;
  down.values = BackwardOptions::Values::recompute;
  down.neurons = [&](std::int64_t layer, const at::Tensor& a, const at::Tensor& derivative) {
    at::Tensor& kept = values.recomputed.at(static_cast<std::size_t>(layer));
    if (!kept.defined()) kept = a.clone();  // of the first pass down
    values.derivatives.at(static_cast<std::size_t>(layer)) = derivative.clone();
  };
  down.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block == 0) values.by_stream = gradient.clone();
  };
  if (rules.any()) {
    down.rules = rules;
    downward(network, run, down);
    down.rules = {};
  }
  downward(network, run, down);
  values.metric = network.metric(run.pass.resid, run.directions);
  return values;
}

/// The shares of m, float64: of the embeddings at each position [pair, pos], of all biases [pair].
struct Shares {
  at::Tensor metric, embeddings, biases;
  bool any_bias = false;
};

Shares shares_of(const Transformer& network, const Prompts& prompts, Rules rules) {
  const Upward run = upward(network, prompts);
  Shares shares;
  shares.metric = network.metric(run.pass.resid, run.directions).to(at::kDouble);
  shares.biases = at::zeros({run.pairs()}, at::kDouble);
  BackwardOptions down;
  down.rules = rules;
  down.biases = [&](const at::Tensor& bias, const at::Tensor& gradient) {
    shares.any_bias = true;
    const at::Tensor by_row = at::matmul(gradient.to(at::kDouble), bias.to(at::kDouble));  // a pair's rows together
    shares.biases.add_(by_row.view({run.pairs(), -1}).sum(1));
  };
  down.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block == 0) shares.embeddings = (run.stream * gradient).to(at::kDouble).sum(2);
  };
  downward(network, run, down);
  return shares;
}

/// m [pair, layer] of the clean prompts with one layer's neurons as in the counterfactual run, float64.
at::Tensor metric_without(const Transformer& network, const Prompts& prompts, std::int64_t rows) {
  const std::int64_t layers = network.architecture().layers(), length = prompts.clean.size(1);
  const std::int64_t together = std::max<std::int64_t>(1, rows / length);  // sequences, each without its own layer
  at::Tensor found = at::empty({prompts.clean.size(0), layers}, at::kDouble);
  for (std::int64_t pair = 0; pair < prompts.clean.size(0); ++pair) {
    const Prompts one = prompts.narrow(pair, 1);
    std::vector<at::Tensor> other;  // [layer] of [1, pos, neuron]
    ForwardOptions counterfactual;
    counterfactual.neurons = [&](std::int64_t, const at::Tensor& a) { other.push_back(a.clone()); };
    network.forward(whole_batch(network.embed(one.counterfactual)), counterfactual);
    const LogitDirections directions = network.logit_directions(metric_tokens(network, one, {length, {}}));
    for (std::int64_t first = 0; first < layers; first += together) {
      const std::int64_t count = std::min(together, layers - first);
      ForwardOptions patched;
      patched.neurons = [&](std::int64_t layer, at::Tensor a) {
        if (layer < first || layer >= first + count) return;
        a.narrow(0, layer - first, 1).copy_(other.at(static_cast<std::size_t>(layer)));
      };
      const Pass pass = network.forward(whole_batch(network.embed(one.clean).repeat({count, 1, 1})), patched);
      found[pair].narrow(0, first, count).copy_(network.metric(pass.resid, directions.repeat(count)));
    }
  }
  return found;
}

}  // namespace

Rules conserving_rules(const Architecture& architecture) {
  return architecture.logit_softcap ? Rules::all().with(Rule::softcap) : Rules::all();
}

Finding compare_passes(const PassValues& fresh, const PassValues& after_rules) {
  const std::string limit = "the same bits";
  const auto differs = [&](const std::string& what) { return Finding{Verdict::fail, what, limit}; };
  if (!at::equal(fresh.metric, after_rules.metric)) return differs("the metric is another after a pass with rules");
  for (std::size_t layer = 0; layer < fresh.neurons.size(); ++layer) {
    const at::Tensor& all = fresh.neurons[layer];
    for (const PassValues* values : {&fresh, &after_rules}) {
      const at::Tensor& again = values->recomputed[layer];
      if (!at::equal(all.narrow(1, all.size(1) - again.size(1), again.size(1)), again)) {
        return differs(fmt::format("the backward pass {} rules computes other neurons of layer {}",
                                   values == &fresh ? "without" : "with", layer));
      }
    }
    if (!at::equal(fresh.derivatives[layer], after_rules.derivatives[layer])) {
      return differs(fmt::format("plain derivatives of layer {} are others after a pass with rules", layer));
    }
  }
  if (!at::equal(fresh.by_stream, after_rules.by_stream)) {
    return differs("plain derivatives by the embeddings are others after a pass with rules");
  }
  return {Verdict::ok, "the same bits", limit};
}

Finding check_forward(const Job& job) {
  const Prompts prompts = examined_prompts(job);
  return compare_passes(values_of(*job.working, prompts, {}),
                        values_of(*job.working, prompts, conserving_rules(job.architecture())));
}

Finding check_conservation(const Job& job, Rules rules) {
  const Shares shares = shares_of(*job.working, examined_prompts(job), rules);
  const at::Tensor left = shares.metric - shares.embeddings.sum(1) - shares.biases;
  const at::Tensor scale = at::maximum(shares.metric.abs(), shares.embeddings.abs().sum(1) + shares.biases.abs());
  const double error = (left.abs() / scale).max().item<double>();
  std::string measured = fmt::format("off by {:.1e}", error);
  if (shares.any_bias) {
    measured += ", the biases' share of the metric being";
    for (std::int64_t pair = 0; pair < left.size(0); ++pair) {
      const double share = shares.biases[pair].item<double>() / shares.metric[pair].item<double>();
      measured += fmt::format("{} {:.3g}", pair > 0 ? "," : "", share);
    }
  }
  return {error <= conservation_limit ? Verdict::ok : Verdict::fail, measured,
          fmt::format("{:.0e} of the metric or its shares", conservation_limit)};
}

Finding judge_sums(const LayerSums& sums, double tolerance) {
  const std::string limit = fmt::format("{} of a layer's effect", tolerance);
  const at::Tensor error = at::maximum((sums.scores - sums.effect).abs(), sums.residual.abs());
  const at::Tensor scale = at::maximum(sums.effect.abs(), least_effect * sums.whole.abs().unsqueeze(1));
  const at::Tensor ratio = at::where(error == 0, at::zeros_like(error), error / scale);  // a layer may have no effect
  const std::int64_t at = ratio.argmax().item<std::int64_t>();                           // NaN counts as the largest
  const double worst = ratio.flatten()[at].item<double>();
  const std::int64_t pair = at / ratio.size(1), layer = at % ratio.size(1);
  const std::string measured = fmt::format("off by {:.1e} (pair {}, layer {})", worst, pair, layer);
  if (worst <= tolerance) return {Verdict::ok, measured, limit};
  return {worst <= far_from_complete * tolerance ? Verdict::warn : Verdict::fail, measured, limit};
}

Finding check_completeness(const Job& job, std::int64_t rows) {
  const Prompts prompts = examined_prompts(job);
  const Transformer& network = *job.working;
  std::vector<at::Tensor> scores, residual, metric;  // a pair each
  for (std::int64_t pair = 0; pair < prompts.clean.size(0); ++pair) {
    const UnitScores found = unit_of(network, "ig-acts", prompts.narrow(pair, 1), all_layers(job.architecture()), rows);
    scores.push_back(found.scores.sum({1, 2}));
    residual.push_back(found.residual[0]);
    metric.push_back(found.metric[0]);
  }
  const at::Tensor ends = at::stack(metric).to(at::kDouble);  // [pair, 2]
  const at::Tensor clean = ends.select(1, 0);
  return judge_sums({at::stack(scores), clean.unsqueeze(1) - metric_without(network, prompts, rows),
                     at::stack(residual), clean - ends.select(1, 1)},
                    job.config.method.tolerance);
}

}  // namespace tributary
