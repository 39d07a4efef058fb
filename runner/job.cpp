// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job.h"

#include <ATen/ATen.h>
#include <xxhash.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/errors.h"
#include "runner/device.h"
#include "runner/model.h"
#include "runner/version.h"

namespace tributary {
namespace {

std::string hash_of(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  std::string digits;
  for (const std::uint64_t half : {hash.high64, hash.low64}) {
    for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[half >> shift & 15];
  }
  return digits;
}

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

void check_rules(const Job& job) {
  for (const Rule rule : job.config.method.asked) {
    if (job.fired.of(rule) == 0) {
      throw UserError(
          "attribution.rules." + name_of(rule),
          "the rule has no place to act in a " + job.architecture().family + " model (it fired 0 times); remove it");
    }
  }
}

}  // namespace

bool Job::has_circuit() const { return !pairs.test.empty() && config.method.has_neurons(); }

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
  if (job.config.metric != MetricKind::sum_of_logits) {
    const at::Tensor signs = answers == 2 ? at::tensor({1.0, -1.0}, at::kDouble) : at::ones({1}, at::kDouble);
    prompts.tokens = {tokens.to(job.device), signs.to(job.device)};
  }
  return prompts;
}

Job prepare_job(const Settings& settings, int local_rank) {
  Job job;
  job.config = run_config(settings);
  job.resolved = settings.resolved();
  job.device = choose_device(job.config.device, local_rank);

  const Checkpoint checkpoint = Checkpoint::open(job.config.model);
  const Tokenizer tokenizer = Tokenizer::load(job.config.model / "tokenizer.json");
  const at::ScalarType type = dtype_named(job.config.dtype);
  job.working = load_transformer(checkpoint, type, job.device);
  job.exact = type == at::kBFloat16 ? load_transformer(checkpoint, at::kFloat, job.device) : job.working;

  PairOptions options = job.config.pairs;
  options.vocabulary = job.architecture().vocabulary;
  options.max_length = job.architecture().max_positions;
  job.pairs = prepare_pairs(options, tokenizer);
  const bool kept = job.config.method.positions == Positions::keep;
  job.train_length = kept ? job.pairs.train.front().length() : 1;
  if (!kept && job.config.method.baseline == Baseline::mean && buckets_of(job.pairs.train).size() > 1) {
    throw UserError("attribution.baseline",
                    "a mean baseline is taken position by position, and the training pairs have several token lengths; "
                    "set positions: keep");
  }
  if (!job.config.baseline_file.empty()) {
    job.baseline_prompts = read_baseline(job.config, tokenizer, job.pairs.train.front().length());
  }
  // In bfloat16 residuals are rounding noise, so the points come from a float32 pilot.
  if (type == at::kBFloat16 && job.config.method.quadrature == Quadrature::adaptive)
    job.config.method.quadrature = Quadrature::pilot;

  job.fired = count_fired(*job.working, prompts_of(job, job.pairs.train, {0}), job.config.method.rules);
  check_rules(job);
  job.model_hash = checkpoint.hash();
  std::string everything = settings.identity_text() + "\nmodel " + job.model_hash + "\npairs " + job.pairs.hash +
                           "\nnumbers " + numbers_version;
  for (const std::vector<std::int64_t>& prompt : job.baseline_prompts) {
    everything += "\nbaseline";
    for (const std::int64_t id : prompt) everything += ' ' + std::to_string(id);
  }
  job.identity = hash_of(everything);
  return job;
}

}  // namespace tributary
