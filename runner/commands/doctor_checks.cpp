// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_checks.h"

#include <fmt/format.h>
#include "attribution/model/tensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "runner/commands/sweep_folder.h"
#include "runner/job/job_checks.h"
#include "runner/job/memory_plan.h"
#include "runner/job/notes.h"
#include "runner/job/prompts.h"
#include "runner/machine/device.h"
#include "runner/machine/memory_limits.h"
#include "runner/stages/bits_check.h"

namespace tributary {
namespace {

constexpr std::int64_t rows_of_a_call = 512;
constexpr double conservation_limit = 1e-4;  // of float32's rounding through a deep network
constexpr double far_from_complete = 10;     // times the tolerance: no rounding, and no coarse quadrature
constexpr double ranking_limit = 0.5;        // share of the first neurons that bfloat16 should find
constexpr std::int64_t compared_neurons = 100;

Finding same_or_not(bool same, const std::string& otherwise) {
  return {same ? Verdict::ok : Verdict::fail, same ? "the same bits" : otherwise, "the same bits"};
}

Prompts all_prompts(const Job& job) {
  std::vector<std::int64_t> members;
  for (std::size_t i = 0; i < job.pairs.train.size(); ++i) members.push_back(static_cast<std::int64_t>(i));
  return prompts_of(job, job.pairs.train, members);
}

Method method_named(const std::string& name) {
  MethodRequest request;
  request.method = name;
  return resolve_method(request);
}

UnitScores scores_of(const Transformer& network, const std::string& method, const Prompts& prompts, LayerRange layers,
                     std::int64_t rows = rows_of_a_call) {
  Task task{method_named(method), {}};
  task.options.layers = layers;
  return attribute({&network, &network}, {task}, prompts, {{rows, {}}}).scores.front();
}

LayerRange all_layers(const Job& job) { return {0, job.architecture().layers()}; }

/// All rules of RelP, and the one that makes them conserve the metric where the family caps its logits.
Rules all_rules_of(const Architecture& architecture) {
  return architecture.logit_softcap ? Rules::all().with(Rule::softcap) : Rules::all();
}

/// One pass up and down, with the rules.
struct BothWays {
  std::vector<at::Tensor> neurons, recomputed;  // [layer] of [pair, pos, neuron]
  at::Tensor stream, gradient;                  // before block 0 [pair, pos, d_model]
  at::Tensor metric;                            // [pair]
};

BothWays both_ways(const Transformer& network, const Prompts& prompts, Rules rules) {
  const auto layers = static_cast<std::size_t>(network.architecture().layers());
  BothWays run;
  run.neurons.resize(layers);
  run.recomputed.resize(layers);
  ForwardOptions up;
  up.tape = ForwardOptions::Tape::keep;
  up.neurons = [&](std::int64_t layer, const at::Tensor& a) {
    run.neurons.at(static_cast<std::size_t>(layer)) = a.clone();
  };
  up.resid_pre = [&](std::int64_t block, const at::Tensor& resid) {
    if (block == 0) run.stream = resid.clone();
  };
  const Pass pass = network.forward(whole_batch(network.embed(prompts.clean)), up);
  const LogitDirections directions = network.logit_directions(metric_tokens(network, prompts, {rows_of_a_call, {}}));
  run.metric = network.metric(pass.resid, directions);
  BackwardOptions down;
  down.rules = rules;
  down.values = BackwardOptions::Values::recompute;
  down.neurons = [&](std::int64_t layer, const at::Tensor& a, const at::Tensor&) {
    run.recomputed.at(static_cast<std::size_t>(layer)) = a.clone();
  };
  down.resid_pre = [&](std::int64_t block, const at::Tensor& gradient) {
    if (block == 0) run.gradient = gradient.clone();
  };
  const at::Tensor top = network.metric_gradient(pass.resid, directions, down);
  network.backward(pass, {0, prompts.clean.size(0)}, top, down);
  return run;
}

/// |Σ e · dm/de - m| of the worst pair, relative to the larger of |m| and Σ |e · dm/de| over positions.
double conservation_error(const BothWays& run) {
  const at::Tensor shares = (run.stream * run.gradient).to(at::kDouble).sum(2);  // [pair, pos]
  const at::Tensor metric = run.metric.to(at::kDouble);
  const at::Tensor scale = at::maximum(metric.abs(), shares.abs().sum(1));
  return ((shares.sum(1) - metric).abs() / scale).max().item<double>();
}

/// The same network without its biases, and whether it had any. Those of LayerNorm become zeros.
std::pair<Transformer, bool> without_biases(const Transformer& network) {
  Weights weights = network.weights();
  bool any = false;
  const auto drop = [&any](at::Tensor& bias) {
    any = any || bias.defined();
    bias = at::Tensor();
  };
  const auto clear = [&any](at::Tensor& bias) {
    if (!bias.defined()) return;
    any = true;
    bias = at::zeros_like(bias);
  };
  clear(weights.final_norm_bias);
  for (LayerWeights& layer : weights.layers) {
    clear(layer.attention_norm_bias);
    clear(layer.mlp_norm_bias);
    for (at::Tensor LayerWeights::*bias :
         {&LayerWeights::qkv_bias, &LayerWeights::output_bias, &LayerWeights::expand_bias, &LayerWeights::down_bias}) {
      drop(layer.*bias);
    }
  }
  return {Transformer(network.architecture(), std::move(weights)), any};
}

std::set<std::int64_t> first_neurons(const at::Tensor& scores) {
  const at::Tensor flat = scores.abs().flatten();
  const std::int64_t count = std::max<std::int64_t>(1, std::min(compared_neurons, flat.size(0) / 10));
  const at::Tensor best = std::get<1>(flat.topk(count));
  std::set<std::int64_t> found;
  for (std::int64_t i = 0; i < count; ++i) found.insert(best[i].item<std::int64_t>());
  return found;
}

}  // namespace

Finding check_weights_finite(LoadedModel& loaded, const Job& job) {
  const std::string limit = "no NaN, no infinity";
  try {
    loaded.require_finite(*job.working);
  } catch (const UserError& error) {
    return {Verdict::fail, error.what(), limit};
  }
  return {Verdict::ok, "all finite", limit};
}

Finding check_tokenizer(LoadedModel& loaded, const Job& job) {
  if (!job.tokenizer) return {Verdict::skipped, "the folder has no tokenizer.json", ""};
  const Tokenizer& tokenizer = *job.tokenizer;
  const std::int64_t vocabulary = job.architecture().vocabulary;
  const std::string limit = fmt::format("ids below {}", vocabulary);
  std::vector<std::string> texts{"The capital of France is Paris.", "fire and ice"};
  for (const TokenPair& pair : job.pairs.train) {
    if (!pair.text.clean_prefix.empty()) texts.push_back(pair.text.clean_prefix);
  }
  std::string not_read_back;
  for (const std::string& text : texts) {
    const std::vector<std::int64_t> ids = tokenizer.encode(text, SpecialTokens::omit);
    try {
      require_in_vocabulary(tokenizer.encode(text, SpecialTokens::add), tokenizer, vocabulary, "tokenizer.json");
    } catch (const UserError& error) {
      return {Verdict::fail, error.what(), limit};
    }
    std::string again;
    for (const std::int64_t id : ids) again += tokenizer.text_of(id);
    if (again != text && again != " " + text) not_read_back = again;
  }
  std::string said = "before text " + text_of_prefix(tokenizer);
  if (!not_read_back.empty()) {
    return {Verdict::warn, said + "; a prompt reads back as '" + not_read_back + "'", limit};
  }
  const nlohmann::json& config = loaded.checkpoint().config();
  const auto bos = config.find("bos_token_id");
  const bool named = bos != config.end() && bos->is_number_integer() && !tokenizer.prefix_ids().empty();
  if (named && bos->get<std::int64_t>() != tokenizer.prefix_ids().front()) {
    return {Verdict::warn, fmt::format("{}; config.json's bos_token_id is {}", said, bos->get<std::int64_t>()), limit};
  }
  if (tokenizer.size() > vocabulary) {
    return {
        Verdict::warn,
        fmt::format("{}; {} tokens, of which no prompt may use those from {} on", said, tokenizer.size(), vocabulary),
        limit};
  }
  return {Verdict::ok, said, limit};
}

Finding check_rows(const Job& job) { return same_or_not(bits_hold(job), "a prompt's bits depend on its batch"); }

Finding check_threads(const Job& job) {
  const Prompts prompts = all_prompts(job);
  const auto compute = [&] { return scores_of(*job.working, "atp", prompts, all_layers(job)).scores; };
  const at::Tensor alone = compute();
  std::array<at::Tensor, 2> beside;
  std::array<std::exception_ptr, 2> failures;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < beside.size(); ++i) {
      threads.emplace_back([&, i] {
        use_one_thread();
        try {
          beside.at(i) = compute();
        } catch (...) {
          failures.at(i) = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  const bool same = at::equal(alone, beside[0]) && at::equal(alone, beside[1]);
  return same_or_not(same, "two threads give other scores than one");
}

Finding check_ranks(const Job& job) {
  const Prompts prompts = all_prompts(job);
  const std::int64_t layers = job.architecture().layers();
  const auto relp = [&](const Prompts& some, LayerRange range) {
    return scores_of(*job.working, "relp", some, range).scores;
  };
  const at::Tensor whole = relp(prompts, {0, layers});
  bool same = true;
  if (layers > 1) {
    same = at::equal(whole, at::cat({relp(prompts, {0, layers / 2}), relp(prompts, {layers / 2, layers})}));
  }
  if (prompts.clean.size(0) == 2) {
    Prompts first = prompts.narrow(0, 1), second = prompts.narrow(1, 1);
    same = same && at::equal(whole, relp(first, {0, layers}) + relp(second, {0, layers}));
  }
  return same_or_not(same, "shares of the work do not add up to the whole's bits");
}

Finding check_forward(const Job& job) {
  const Prompts prompts = all_prompts(job);
  const BothWays plain = both_ways(*job.working, prompts, {});
  const BothWays ruled = both_ways(*job.working, prompts, all_rules_of(job.architecture()));
  bool same = at::equal(plain.metric, ruled.metric);
  for (std::size_t layer = 0; layer < plain.neurons.size(); ++layer) {
    const at::Tensor& again = ruled.recomputed[layer];
    const at::Tensor& all = plain.neurons[layer];
    same = same && at::equal(all.narrow(1, all.size(1) - again.size(1), again.size(1)), again);
  }
  return same_or_not(same, "values differ with the rules on");
}

Finding check_conservation(const Job& job) {
  const Prompts prompts = all_prompts(job);
  const Rules rules = all_rules_of(job.architecture());
  const auto [bare, had_biases] = without_biases(*job.working);
  const double error = conservation_error(both_ways(bare, prompts, rules));
  std::string measured = fmt::format("{:.1e}", error);
  if (had_biases) {
    measured += fmt::format(" without the biases, whose share is {:.1e}",
                            conservation_error(both_ways(*job.working, prompts, rules)));
  }
  return {error <= conservation_limit ? Verdict::ok : Verdict::fail, measured,
          fmt::format("{:.0e} of the metric or its shares", conservation_limit)};
}

Finding check_completeness(const Job& job, std::int64_t rows) {
  const Prompts prompts = all_prompts(job);
  const double tolerance = job.config.method.tolerance;
  double worst = 0;
  std::int64_t at_pair = 0, at_layer = 0;
  for (std::int64_t pair = 0; pair < prompts.clean.size(0); ++pair) {
    const UnitScores found = scores_of(*job.working, "ig-acts", prompts.narrow(pair, 1), all_layers(job), rows);
    const at::Tensor residual = found.residual[0];  // [layer]
    const at::Tensor effect = (found.scores.sum({1, 2}) - residual).abs();
    const double floor = 0.01 * (found.metric[0][0] - found.metric[0][1]).abs().item<double>();
    for (std::int64_t layer = 0; layer < residual.size(0); ++layer) {
      const double scale = std::max(effect[layer].item<double>(), floor);
      const double left = std::abs(residual[layer].item<double>());
      const double error = left == 0 ? 0 : left / scale;  // a layer may have no effect at all
      if (error <= worst) continue;                       // also where it is NaN, which m of the pair tells
      worst = error;
      at_pair = pair;
      at_layer = layer;
    }
    if (!at::isfinite(residual).all().item<bool>()) worst = INFINITY;
  }
  const std::string measured = fmt::format("{:.1e} (pair {}, layer {})", worst, at_pair, at_layer);
  const Verdict verdict = worst <= tolerance                       ? Verdict::ok
                          : worst <= far_from_complete * tolerance ? Verdict::warn
                                                                   : Verdict::fail;
  return {verdict, measured, fmt::format("{} of a layer's effect", tolerance)};
}

Finding check_bfloat16(LoadedModel& loaded, const Job& job) {
  const auto coarse = loaded.network(at::kBFloat16, job.device, Communicator(), warn_user);
  const Prompts prompts = all_prompts(job);
  const UnitScores fine = scores_of(*job.working, "relp", prompts, all_layers(job));
  const UnitScores rough = scores_of(*coarse, "relp", prompts, all_layers(job));
  const double off = (fine.metric - rough.metric).abs().max().item<double>();
  const std::set<std::int64_t> ours = first_neurons(fine.scores);
  const std::set<std::int64_t> theirs = first_neurons(rough.scores);
  const auto common = std::count_if(ours.begin(), ours.end(), [&](std::int64_t node) { return theirs.contains(node); });
  const bool alike = static_cast<double>(common) >= ranking_limit * static_cast<double>(ours.size());
  return {alike ? Verdict::ok : Verdict::warn,
          fmt::format("answers' difference off by {:.3g} logits; {} of the first {} nodes", off, common, ours.size()),
          fmt::format("{:.0f} % of the nodes", 100 * ranking_limit)};
}

MemoryCheck::MemoryCheck(const Job& job) {
  const MemoryPlan plan = plan_memory({&job}, {});
  planned_ = plan.expected_peak;
  rows_ = plan.batch_rows;
}

Finding MemoryCheck::end() const {
  const std::uint64_t peak = peak_resident_bytes();
  return {peak <= planned_ ? Verdict::ok : Verdict::fail, text_of_bytes(peak), text_of_bytes(planned_) + " as planned"};
}

}  // namespace tributary
