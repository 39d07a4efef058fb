// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/prepare_job.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/errors.h"
#include "runner/job/answers.h"
#include "runner/job/chosen_dtype.h"
#include "runner/job/dictionaries.h"
#include "runner/job/identity.h"
#include "runner/job/imported_scores.h"
#include "runner/job/job_checks.h"
#include "runner/machine/device.h"

namespace tributary {
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

/// The folder may be another one on another node, or be replaced while the ranks open it one after another.
void require_one_model(const Job& job, const Communicator& comm) {
  const std::vector<std::string> hashes = comm.gather(job.model_hash);
  std::vector<std::int64_t> mixed{std::adjacent_find(hashes.begin(), hashes.end(), std::not_equal_to<>()) !=
                                  hashes.end()};
  comm.broadcast(mixed);
  if (mixed[0] == 0) return;
  throw UserError(job.config.model.folder.string(),
                  "the ranks have read different models there (copies that differ between nodes, or a model that was "
                  "replaced at this moment); put one model there for all of them, and start again");
}

/// So may attribution.file.
void require_one_ranking(const Job& job, const Communicator& comm) {
  if (job.imported.empty()) return;
  const std::vector<std::string> hashes = comm.gather(hash_of_scores(job.imported));
  std::vector<std::int64_t> mixed{std::adjacent_find(hashes.begin(), hashes.end(), std::not_equal_to<>()) !=
                                  hashes.end()};
  comm.broadcast(mixed);
  if (mixed[0] == 0) return;
  throw UserError(job.config.scores_file.string(),
                  "the ranks have read different scores there (copies that differ between nodes, or a file that was "
                  "replaced at this moment); put one file there for all of them, and start again");
}

/// All ranks take the same dtype: what the least of them can do. It depends on the model and on the machines, and not
/// on what else they hold at the moment.
Settings with_dtype(const Settings& given, Job& job, const LoadedModel& model, const Communicator& comm) {
  if (job.config.dtype != "auto") return given;
  const auto least = [&comm](std::uint64_t mine) {
    const std::vector<std::int64_t> all = comm.gather(static_cast<std::int64_t>(mine));
    std::vector<std::int64_t> agreed_on{all.empty() ? 0 : *std::min_element(all.begin(), all.end())};
    comm.broadcast(agreed_on);
    return static_cast<std::uint64_t>(agreed_on[0]);
  };
  DtypeFacts facts;
  if (least(stored_type_of(model.checkpoint()) == at::kBFloat16 ? 1 : 0) == 1) facts.stored = at::kBFloat16;
  facts.multiplies_bfloat16 = least(multiplies_bfloat16(job.device) ? 1 : 0) == 1;
  facts.weights = least(stored_bytes(model.checkpoint()));
  if (!job.device.is_cpu()) facts.memory = least(bytes_of_card(job.device));
  return with_chosen_dtype(given, job.config, facts, job.dtype_note);
}

/// The pairs that the files and the options give.
void read_pairs_of(Job& job, LoadedModel& model) {
  const PairOptions options = pair_options_for(job.config, job.architecture());
  job.pairs = model.pairs(options);
  job.config.unpaired = lacks_counterfactuals(job.pairs);
}

}  // namespace

Job prepare_job(const Settings& given, ModelShelf& shelf) {
  Job job;
  const Communicator& comm = shelf.comm();
  agreed(comm, [&] {
    job.config = run_config(given);
    locate_model(job.config);
    job.title = job.config.name + (given.label().empty() ? "" : " (" + given.label() + ")");
    job.device = choose_device(job.config.device, comm.local_rank());
  });
  require_one_kind(job.device, comm);
  LoadedModel& model = shelf.model(job.config.model.folder);
  job.measures = model.measures();
  const Settings settings = with_dtype(given, job, model, comm);
  job.resolved = settings.resolved();
  const at::ScalarType type = dtype_named(job.config.dtype);
  job.working = model.network(type, job.device, comm, shelf.warn());
  job.exact = type == at::kBFloat16 ? model.network(at::kFloat, job.device, comm, shelf.warn()) : job.working;
  agreed(comm, [&] {
    job.tokenizer = model.tokenizer().with_bos(job.config.pairs.bos);
    read_pairs_of(job, model);
  });
  if (job.config.correct_only) keep_solved_pairs(job, settings, model, comm);
  const int threads = job.config.features.empty() ? 1 : worker_threads(job.config.threads, job.device, comm);
  agreed(comm, [&] {
    add_dictionaries(job, shelf.dictionaries(), DictionaryShelf::Numbers::read, threads);
    settle_job(job, settings);
    job.checkpoint = model.checkpoint();
    job.model_hash = model.hash();
    job.checkpoint->require_unchanged();  // since it was opened: the weights are those of the hash
    job.identities = identities_of(job, settings);
    job.group = group_of(job, settings);
  });
  require_one_model(job, comm);
  require_one_ranking(job, comm);
  return job;
}

}  // namespace tributary
