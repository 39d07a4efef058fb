// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/sketch.h"

#include "attribution/model/tensors.h"

#include <map>
#include <nlohmann/json.hpp>

#include "attribution/model/families.h"
#include "attribution/model/products.h"
#include "io/checkpoint.h"
#include "runner/job/chosen_dtype.h"
#include "runner/job/identity.h"
#include "runner/job/job_checks.h"
#include "runner/job/model.h"
#include "runner/job/stand_in.h"

namespace tributary {
const SketchShelf::Described& SketchShelf::described(const std::filesystem::path& folder) {
  std::optional<ReadOnce<Described>>& described = models_[folder].described;
  if (!described) {
    described.emplace([&] {
      const nlohmann::json config = read_model_config(folder);
      return Described{describe_architecture(config, (folder / "config.json").string()),
                       stored_type_of(folder, config)};
    });
  }
  return described->value();
}

const Architecture& SketchShelf::architecture(const std::filesystem::path& folder) {
  return described(folder).architecture;
}

const Tokenizer& SketchShelf::tokenizer(const std::filesystem::path& folder) {
  std::optional<ReadOnce<Tokenizer>>& tokenizer = models_[folder].tokenizer;
  if (!tokenizer) tokenizer.emplace([&] { return Tokenizer::of_model(folder); });
  return tokenizer->value();
}

const PairSet& SketchShelf::pairs(const std::filesystem::path& folder, const PairOptions& options) {
  auto& known = models_[folder].pairs;
  for (const auto& [same, pairs] : known) {
    if (same == options) return pairs.value();
  }
  const Tokenizer& words = tokenizer(folder);
  const auto read = [&] { return prepare_pairs(options, words.with_bos(options.bos)); };
  return known.emplace_back(options, ReadOnce<PairSet>(read)).second.value();
}

void SketchShelf::require_weights(const std::filesystem::path& folder) {
  std::optional<ReadOnce<bool>>& weights = models_[folder].weights;
  if (!weights) {
    weights.emplace([&] {
      check_weights(Checkpoint::open(folder));
      return true;
    });
  }
  (void)weights->value();
}

const std::shared_ptr<const Transformer>& SketchShelf::network(const std::filesystem::path& folder, at::ScalarType type,
                                                               const at::Device& device) {
  std::shared_ptr<const Transformer>& network = models_[folder].networks[{type, device.type()}];
  if (network) return network;
  const at::ScalarType stored = described(folder).stored.value_or(type);
  const bool stays = device.is_cpu() && stays_stored(stored, type);
  return network = network_without_numbers(architecture(folder), type, stays ? stored : type);
}

Job SketchShelf::job(const Settings& given, const at::Device& device) {
  Job job;
  job.config = run_config(given);
  locate_model(job.config);
  job.title = job.config.name + (given.label().empty() ? "" : " (" + given.label() + ")");
  job.device = device;
  const std::filesystem::path& folder = job.config.model.folder;
  const DtypeFacts facts{.stored = described(folder).stored, .multiplies_bfloat16 = multiplies_bfloat16(device)};
  const Settings settings = with_chosen_dtype(given, job.config, facts, job.dtype_note);
  job.resolved = settings.resolved();
  const at::ScalarType type = dtype_named(job.config.dtype);
  job.stored_type = described(folder).stored;
  job.working = network(folder, type, device);
  job.exact = type == at::kBFloat16 ? network(folder, at::kFloat, device) : job.working;
  job.measures = models_[folder].measures;
  job.tokenizer = tokenizer(folder).with_bos(job.config.pairs.bos);
  job.pairs = pairs(folder, pair_options_for(job.config, job.architecture()));
  add_dictionaries(job, dictionaries_, DictionaryShelf::Numbers::skip, 1);
  settle_job(job, settings);
  job.group = group_of(job, settings);  // paths stand for models
  return job;
}

}  // namespace tributary
