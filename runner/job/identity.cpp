// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "attribution/model/functions.h"
#include "attribution/model/products.h"
#include "common/hash.h"
#include "common/version.h"
#include "runner/job/imported_scores.h"
#include "runner/job/keys.h"

namespace tributary {
namespace {

/// Tokens of the longest prompt that a run reads.
std::int64_t longest_prompt(const Job& job) {
  std::int64_t longest = 0;
  for (const std::vector<TokenPair>* pairs : {&job.pairs.train, &job.pairs.test}) {
    for (const TokenPair& pair : *pairs) longest = std::max<std::int64_t>(longest, pair.length());
  }
  for (const std::vector<std::int64_t>& prompt : job.baseline_prompts) longest = std::max(longest, std::ssize(prompt));
  return longest;
}

/// What every number of a run depends on besides its settings and pairs.
std::string surroundings_of(const Job& job) {
  std::string text = std::string("\ndevice ") + c10::DeviceTypeName(job.device.type()) + "\nnumbers " + numbers_version;
  if (job.device.is_cpu() && attends_in_blocks(longest_prompt(job))) text += "\nattention in blocks";
  if (job.device.is_cpu() && job.config.dtype == "bfloat16" && widens_bfloat16()) text += "\nbfloat16 widened";
  if (job.dictionaries) text += "\nfeatures " + job.dictionaries_hash;
  if (!job.imported.empty()) text += "\nimported " + hash_of_scores(job.imported);
  for (const std::vector<std::int64_t>& prompt : job.baseline_prompts) {
    text += "\nbaseline";
    for (const std::int64_t id : prompt) text += ' ' + std::to_string(id);
  }
  return text;
}

}  // namespace

Identities identities_of(const Job& job, const Settings& settings) {
  const std::string model = "\nmodel " + job.model_hash;
  const std::string around = surroundings_of(job);
  const std::string all = "\npairs " + job.pairs.hash;
  Identities identities;
  identities.results = hash_of(settings.identity_text({Effect::numbers, Effect::evaluation}) + model + all + around);
  identities.scores = hash_of(settings.identity_text({Effect::numbers}) + model + "\ntraining pairs " +
                              job.pairs.train_hash + (job.config.unpaired ? "\nunpaired" : "") + around);
  identities.performance = hash_of("held-out pairs " + job.pairs.test_hash);
  identities.agreement = hash_of(settings.text_of({"agreement"}));
  identities.circuit = hash_of(settings.text_of({"circuit"}) + all);
  identities.steering = hash_of(settings.text_of({"steering", "circuit.ranking"}) + all + "\nwith factor 1");
  identities.top = hash_of(settings.text_of({"top"}));
  return identities;
}

std::string group_of(const Job& job, const Settings& settings) {
  return settings.text_without(run_groups) + "model " + job.model_hash + "\npairs " + job.pairs.train_hash +
         (job.config.unpaired ? "\nunpaired" : "");
}

std::string truth_of(const Job& job) {
  const Method& method = job.config.method;
  return fmt::format("{} {} {}", name_of(method.baseline), name_of(method.direction),
                     job.config.baseline_file.string());
}

}  // namespace tributary
