// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/found_results.h"

#include <optional>
#include <vector>

#include "common/errors.h"
#include "common/text.h"
#include "io/config.h"
#include "io/results.h"
#include "runner/job/imported_scores.h"
#include "runner/job/keys.h"

namespace tributary {
namespace {

/// The keys in which two runs differ; none where a run of another version knew other keys.
std::vector<std::string> keys_between(const StoredRun& stored, const Job& job) {
  try {
    const Settings then = settings_of(key_table(), stored.configuration, "then");
    return then.keys_that_differ(settings_of(key_table(), job.resolved, "now"));
  } catch (const UserError&) {
    return {};
  }
}

std::string difference_between(const StoredRun& stored, const Job& job) {
  std::vector<std::string> others = keys_between(stored, job);
  if (stored.model_hash != job.model_hash) others.emplace_back("the model");
  if (!stored.train_hash.empty() && stored.train_hash != job.pairs.train_hash)
    others.emplace_back("the training pairs");
  const std::string imported = job.imported.empty() ? "" : hash_of_scores(job.imported);
  if (stored.imported_hash != imported) others.emplace_back("the scores of attribution.file");
  if (others.empty() && stored.scores_identity == job.identities.scores)
    others.emplace_back("the held-out pairs, or the version of this program");
  if (others.empty()) {
    const std::string features = job.dictionaries ? "what the dictionaries of features hold, " : "";
    others.push_back(features + "the version of this program, or the kind of device");
  }
  if (others.size() == 1) return others.front();
  const std::string last = others.back();
  others.pop_back();
  return join(others, ", ") + " and " + last;
}

}  // namespace

FoundResults look_for_results(const std::filesystem::path& folder, const Job& job) {
  using enum FoundResults::What;
  std::optional<StoredRun> stored;
  try {
    stored = stored_run(folder);
  } catch (const ResultsChanged& error) {
    return {changed, error.what()};
  }
  if (!stored) return {};
  if (stored->results_identity == job.identities.results) return {these};
  const bool same = stored->scores_identity == job.identities.scores;
  return {same ? same_scores : others, difference_between(*stored, job)};
}

FoundResults results_to_replace(const std::filesystem::path& folder, const Job& job, Fresh fresh) {
  if (fresh == Fresh::yes) return {};
  FoundResults found = look_for_results(folder, job);
  if (found.what != FoundResults::What::others) return found;
  throw UserError(results_path(folder).string(),
                  "holds results of another run, which would be overwritten (other: " + found.difference +
                      "); name another folder with --out, or say --fresh to replace them");
}

}  // namespace tributary
