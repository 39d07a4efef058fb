// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/prepare_job.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/errors.h"
#include "runner/job/answers.h"
#include "runner/job/identity.h"
#include "runner/job/job_checks.h"
#include "runner/job/prompts.h"
#include "runner/machine/device.h"

namespace tributary {
namespace {

bool lacks_counterfactual(const std::vector<TokenPair>& pairs) {
  return std::any_of(pairs.begin(), pairs.end(), [](const TokenPair& pair) { return pair.counterfactual.empty(); });
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

/// Ranks of one run compute on one kind of device: their collective calls differ otherwise.
void require_one_kind(const c10::Device& device, const Communicator& comm) {
  const std::vector<std::int64_t> kinds = comm.gather(static_cast<std::int64_t>(device.type()));
  std::vector<std::int64_t> mixed{std::adjacent_find(kinds.begin(), kinds.end(), std::not_equal_to<>()) != kinds.end()};
  comm.broadcast(mixed);
  if (mixed[0] == 0) return;
  throw UserError("model.device",
                  "some ranks have a card and others have none; say cpu, or start ranks where cards are");
}

/// The pairs that the files and the options give.
void read_pairs_of(Job& job, LoadedModel& model) {
  PairOptions options = job.config.pairs;
  options.vocabulary = job.architecture().vocabulary;
  options.max_length = job.architecture().max_positions;
  job.pairs = model.pairs(options);
  job.config.unpaired = lacks_counterfactual(job.pairs.train) || lacks_counterfactual(job.pairs.test);
}

/// All that is known once the pairs are.
void settle(Job& job, const Settings& settings) {
  job.config.unpaired = lacks_counterfactual(job.pairs.train) || lacks_counterfactual(job.pairs.test);
  const bool kept = job.config.method.positions == Positions::keep;
  job.train_length = kept ? job.pairs.train.front().length() : 1;
  if (!job.config.baseline_file.empty()) {
    if (buckets_of(job.pairs.train).size() > 1) {
      throw UserError("attribution.baseline_file",
                      "holds means for one token length, and the training pairs have several; set pairs.length and "
                      "positions: keep");
    }
    job.baseline_prompts = read_baseline(job.config, *job.tokenizer, job.pairs.train.front().length());
  }
  settle_sizes(job, settings);
  check_steering(job, settings);
  settle_rules(job);
  settle_quadrature(job);
}

}  // namespace

Job prepare_job(const Settings& settings, ModelShelf& shelf) {
  Job job;
  const Communicator& comm = shelf.comm();
  agreed(comm, [&] {
    job.config = run_config(settings);
    job.title = job.config.name + (settings.label().empty() ? "" : " (" + settings.label() + ")");
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
  agreed(comm, [&] { read_pairs_of(job, model); });
  if (job.config.correct_only) keep_solved_pairs(job, model, comm);
  agreed(comm, [&] {
    settle(job, settings);
    job.checkpoint = model.checkpoint();
    job.model_hash = model.hash();
    job.identities = identities_of(job, settings);
    job.group = group_of(job, settings);
  });
  return job;
}

}  // namespace tributary
