// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/job.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "common/errors.h"
#include "common/hash.h"
#include "common/version.h"
#include "runner/job/model.h"
#include "runner/machine/device.h"

namespace tributary {
namespace {

/// Prompts of attribution.baseline_file that have the run's token length.
std::vector<std::vector<std::int64_t>> read_baseline(const RunConfig& config, const Tokenizer& tokenizer,
                                                     std::int64_t length) {
  std::vector<std::vector<std::int64_t>> prompts;
  for (const PromptPair& pair : read_pairs(config.baseline_file)) {
    const std::string& text = config.unpaired || !pair.patch_prefix ? pair.clean_prefix : *pair.patch_prefix;
    std::vector<std::int64_t> ids = tokenizer.encode(text, SpecialTokens::add);
    if (static_cast<std::int64_t>(ids.size()) == length) prompts.push_back(std::move(ids));
  }
  if (prompts.empty()) {
    throw UserError(
        config.baseline_file.string(),
        "no prompt has " + std::to_string(length) +
            " tokens (the mean is taken position by position, so they must be as long as the training pairs)");
  }
  return prompts;
}

/// Rules asked for by name must act somewhere; a preset drops those that cannot, unless none is left.
void settle_rules(Job& job, const Fired& sites) {
  Method& method = job.config.method;
  const std::string place = " in a " + job.architecture().family + " model (it fired 0 times)";
  for (const Rule rule : method.asked) {
    if (sites.of(rule) == 0) {
      throw UserError("attribution.rules." + name_of(rule), "the rule has no place to act" + place + "; remove it");
    }
  }
  const bool had_any = method.rules.any();
  for (const Rule rule : all_rules) {
    if (!method.rules.has(rule) || sites.of(rule) > 0) continue;
    method.rules = method.rules.without(rule);
    job.dropped.push_back(rule);
  }
  if (had_any && !method.rules.any()) {
    throw UserError("attribution",
                    "no rule of '" + method.name + "' has a place to act" + place + "; take another method");
  }
}

/// What can only be checked beside the model and the pairs. Defaults that are too large shrink, given values are
/// refused.
void check_sizes(Job& job, const Settings& settings) {
  RunConfig& config = job.config;
  const std::int64_t nodes = job.architecture().layers() * job.node_positions() * job.architecture().neurons;
  std::vector<std::int64_t>& counts = config.circuit.counts;
  for (const std::int64_t count : counts) {
    if (count > nodes && settings.given("circuit.counts")) {
      throw UserError(
          settings.where("circuit.counts"),
          fmt::format("circuit.counts: asks for {} nodes where there are {} (layers × positions × neurons); lower it",
                      count, nodes));
    }
  }
  std::erase_if(counts, [nodes](std::int64_t count) { return count > nodes; });
  if (config.method.score == ScoreKind::exact && config.sample > nodes) {
    if (settings.given("attribution.sample")) {
      throw UserError(
          settings.where("attribution.sample"),
          fmt::format("attribution.sample: asks for {} neurons where there are {}; lower it", config.sample, nodes));
    }
    config.sample = nodes;
  }
  if (config.keep.count > nodes && config.method.has_neurons()) {
    throw UserError(
        settings.where("attribution.keep"),
        fmt::format("attribution.keep: asks for {} scores of each pair where there are {}; lower it, or take "
                    "full",
                    config.keep.count, nodes));
  }
  if (job.has_agreement() && config.agreement.sample > nodes) {
    throw UserError(settings.where("agreement.sample"),
                    fmt::format("agreement.sample: asks for {} neurons where there are {}; lower it",
                                config.agreement.sample, nodes));
  }
  if (config.metric == MetricKind::sum_of_logits && config.metric_top > job.architecture().vocabulary) {
    throw UserError(settings.where("metric_top"),
                    fmt::format("metric_top: {} is more than the {} tokens of the vocabulary; lower it",
                                config.metric_top, job.architecture().vocabulary));
  }
  if (config.circuit.ablation == Ablation::mean && config.circuit.means_from == CircuitConfig::MeansFrom::train) {
    const std::vector<Bucket> trained = buckets_of(job.pairs.train);
    for (const Bucket& bucket : buckets_of(job.pairs.test)) {
      if (std::none_of(trained.begin(), trained.end(), [&](const Bucket& b) { return b.length == bucket.length; })) {
        throw UserError(settings.where("circuit.ablation_pairs"),
                        fmt::format("circuit.ablation_pairs: no training pair has {} tokens as some held-out pairs "
                                    "have, so there is no mean to ablate them with; take test",
                                    bucket.length));
      }
    }
  }
}

void check_steering(const Job& job, const Settings& settings) {
  if (!job.has_steering()) return;
  if (job.pairs.test.empty()) {
    throw UserError(settings.where("steering.factors"),
                    "steering.factors: there are no held-out pairs to steer; give pairs.test_file or pairs.test");
  }
  const Architecture& a = job.architecture();
  std::int64_t positions = job.pairs.test.front().length();
  for (const TokenPair& pair : job.pairs.test) positions = std::min(positions, pair.length());
  const auto require = [&](const char* what, std::int64_t number, std::int64_t count) {
    if (number < count) return;
    throw UserError(
        settings.where("steering.neurons"),
        fmt::format("steering.neurons: there is no {} {} (the model has {}, counted from 0)", what, number, count));
  };
  for (const Neuron& neuron : job.config.steering.neurons) {
    require("layer", neuron.layer, a.layers());
    require("neuron", neuron.index, a.neurons);
    if (neuron.position >= positions) {
      throw UserError(settings.where("steering.neurons"),
                      fmt::format("steering.neurons: there is no position {} (held-out prompts have as few as {} "
                                  "tokens, counted from 0)",
                                  neuron.position, positions));
    }
  }
}

/// In bfloat16 residuals are rounding noise, so the points come from a float32 pilot.
void settle_quadrature(Method& method) {
  if (method.quadrature != Quadrature::adaptive) return;
  if (method.rules.any()) {
    throw UserError("attribution.quadrature",
                    "in bfloat16 adaptive takes its points from a pilot, which needs true effects to compare with, and "
                    "replacement rules have none; take a fixed rule, or dtype float32");
  }
  method.quadrature = Quadrature::pilot;
}

bool lacks_counterfactual(const std::vector<TokenPair>& pairs) {
  return std::any_of(pairs.begin(), pairs.end(), [](const TokenPair& pair) { return pair.counterfactual.empty(); });
}

}  // namespace

bool Job::has_circuit() const { return !pairs.test.empty() && config.method.has_neurons(); }

std::string Job::token_text(std::int64_t id) const {
  std::string text;
  for (const char c : tokenizer->text_of(id)) text += c == '\0' ? std::string("\xE2\x90\x80") : std::string(1, c);
  return text;
}

bool Job::has_steering() const {
  const bool any = !config.steering.neurons.empty() || config.method.has_neurons();
  return !config.steering.factors.empty() && any;
}

bool Job::has_agreement() const {
  return config.agreement.sample > 0 && config.method.has_neurons() && config.method.score != ScoreKind::exact;
}

std::vector<Bucket> buckets_of(const std::vector<TokenPair>& pairs) {
  std::map<std::int64_t, std::vector<std::int64_t>> by_length;
  for (std::size_t i = 0; i < pairs.size(); ++i) by_length[pairs[i].length()].push_back(static_cast<std::int64_t>(i));
  std::vector<Bucket> buckets;
  for (auto& [length, members] : by_length) buckets.push_back({length, std::move(members)});
  return buckets;
}

Prompts prompts_of(const Job& job, const std::vector<TokenPair>& pairs, const std::vector<std::int64_t>& members) {
  const auto count = static_cast<std::int64_t>(members.size());
  const std::int64_t length = pairs.at(static_cast<std::size_t>(members.front())).length();
  const bool paired = !job.config.unpaired;
  const std::int64_t answers = job.config.metric == MetricKind::logit_difference ? 2 : 1;
  at::Tensor clean = at::empty({count, length}, at::kLong);
  at::Tensor counterfactual = at::empty({count, length}, at::kLong);
  at::Tensor tokens = at::empty({count, answers}, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    const TokenPair& pair = pairs[static_cast<std::size_t>(members[static_cast<std::size_t>(i)])];
    std::copy(pair.clean.begin(), pair.clean.end(), clean[i].data_ptr<std::int64_t>());
    if (paired)
      std::copy(pair.counterfactual.begin(), pair.counterfactual.end(), counterfactual[i].data_ptr<std::int64_t>());
    tokens[i][0] = pair.clean_answer;
    if (answers == 2) tokens[i][1] = pair.patch_answer;
  }
  Prompts prompts;
  prompts.clean = clean.to(job.device);
  if (paired) prompts.counterfactual = counterfactual.to(job.device);
  prompts.top_k = job.config.metric_top;
  if (paired) {
    const auto differs = [](const TokenPair& pair) {
      const auto [first, other] = std::mismatch(pair.clean.begin(), pair.clean.end(), pair.counterfactual.begin());
      return static_cast<std::int64_t>(first - pair.clean.begin());
    };
    prompts.shared = length - 1;
    for (const std::int64_t member : members) {
      prompts.shared = std::min(prompts.shared, differs(pairs[static_cast<std::size_t>(member)]));
    }
  }
  if (job.config.metric != MetricKind::sum_of_logits) {
    const at::Tensor signs = answers == 2 ? at::tensor({1.0, -1.0}, at::kDouble) : at::ones({1}, at::kDouble);
    prompts.tokens = {tokens.to(job.device), signs.to(job.device)};
  }
  return prompts;
}

namespace {

/// Ranks of one run compute on one kind of device: their collective calls differ otherwise.
void require_one_kind(const c10::Device& device, const Communicator& comm) {
  const std::vector<std::int64_t> kinds = comm.gather(static_cast<std::int64_t>(device.type()));
  std::vector<std::int64_t> mixed{std::adjacent_find(kinds.begin(), kinds.end(), std::not_equal_to<>()) != kinds.end()};
  comm.broadcast(mixed);
  if (mixed[0] == 0) return;
  throw UserError("model.device",
                  "some ranks have a card and others have none; say cpu, or start ranks where cards are");
}

/// The pairs, and all that is known once they are read.
void read_pairs_of(Job& job, const Settings& settings, LoadedModel& model) {
  const Tokenizer& tokenizer = *job.tokenizer;
  PairOptions options = job.config.pairs;
  options.vocabulary = job.architecture().vocabulary;
  options.max_length = job.architecture().max_positions;
  job.pairs = model.pairs(options);
  job.config.unpaired = lacks_counterfactual(job.pairs.train) || lacks_counterfactual(job.pairs.test);
  const bool kept = job.config.method.positions == Positions::keep;
  job.train_length = kept ? job.pairs.train.front().length() : 1;
  if (!job.config.baseline_file.empty()) {
    if (buckets_of(job.pairs.train).size() > 1) {
      throw UserError("attribution.baseline_file",
                      "holds means for one token length, and the training pairs have several; set pairs.length and "
                      "positions: keep");
    }
    job.baseline_prompts = read_baseline(job.config, tokenizer, job.pairs.train.front().length());
  }
  check_sizes(job, settings);
  check_steering(job, settings);
  settle_rules(job, job.measures->sites(*job.working));
  if (dtype_named(job.config.dtype) == at::kBFloat16) settle_quadrature(job.config.method);
}

void identify(Job& job, const Settings& settings) {
  std::string everything = settings.identity_text() + "\nmodel " + job.model_hash + "\npairs " + job.pairs.hash +
                           "\ndevice " + c10::DeviceTypeName(job.device.type()) + "\nnumbers " + numbers_version;
  for (const std::vector<std::int64_t>& prompt : job.baseline_prompts) {
    everything += "\nbaseline";
    for (const std::int64_t id : prompt) everything += ' ' + std::to_string(id);
  }
  job.identity = hash_of(everything);
  job.group = settings.text_without(run_groups) + "model " + job.model_hash + "\npairs " + job.pairs.hash +
              (job.config.unpaired ? "\nunpaired" : "");
}

}  // namespace

Job prepare_job(const Settings& settings, ModelShelf& shelf) {
  Job job;
  const Communicator& comm = shelf.comm();
  agreed(comm, [&] {
    job.config = run_config(settings);
    job.resolved = settings.resolved();
    job.device = choose_device(job.config.device, comm.local_rank());
  });
  require_one_kind(job.device, comm);
  LoadedModel& model = shelf.model(job.config.model);
  agreed(comm, [&] { job.tokenizer = model.tokenizer(); });
  job.measures = model.measures();
  const at::ScalarType type = dtype_named(job.config.dtype);
  job.working = model.network(type, job.device, comm);
  job.exact = type == at::kBFloat16 ? model.network(at::kFloat, job.device, comm) : job.working;
  agreed(comm, [&] {
    read_pairs_of(job, settings, model);
    job.checkpoint = model.checkpoint();
    job.model_hash = model.hash();
    identify(job, settings);
  });
  return job;
}

}  // namespace tributary
