// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/commands/doctor_subject.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/seeded.h"
#include "runner/commands/sweep_folder.h"
#include "runner/job/job_checks.h"
#include "runner/job/keys.h"

namespace tributary {
namespace {

constexpr std::int64_t drawn_length = 8;

std::vector<PromptPair> built_in_texts() {
  PromptPair city, fire;
  city.clean_prefix = "The capital of France is";
  city.patch_prefix = "The capital of Italy is";
  city.clean_answer = " Paris";
  city.patch_answer = " Rome";
  fire.clean_prefix = "Ice is cold and fire is";
  fire.patch_prefix = "Fire is hot and ice is";
  fire.clean_answer = " hot";
  fire.patch_answer = " cold";
  return {city, fire};
}

/// Ids of the texts, the longer prompt without its last ones; of answers the first token. Empty where they do not do.
std::vector<TokenPair> pairs_of_texts(const Tokenizer& tokenizer, std::int64_t vocabulary) {
  std::vector<TokenPair> pairs;
  std::size_t length = drawn_length;
  for (const PromptPair& text : built_in_texts()) {
    TokenPair pair;
    pair.text = text;
    pair.clean = tokenizer.encode(text.clean_prefix, SpecialTokens::add);
    pair.counterfactual = tokenizer.encode(*text.patch_prefix, SpecialTokens::add);
    length = std::min({length, pair.clean.size(), pair.counterfactual.size()});
    const std::vector<std::int64_t> clean = tokenizer.encode(text.clean_answer, SpecialTokens::omit);
    const std::vector<std::int64_t> patch = tokenizer.encode(*text.patch_answer, SpecialTokens::omit);
    if (clean.empty() || patch.empty()) return {};
    pair.clean_answer = clean.front();
    pair.patch_answer = patch.front();
    pairs.push_back(pair);
  }
  const auto known = [&](std::int64_t id) { return id >= 0 && id < vocabulary; };
  for (TokenPair& pair : pairs) {
    pair.clean.resize(length);
    pair.counterfactual.resize(length);
    const bool whole = std::all_of(pair.clean.begin(), pair.clean.end(), known) &&
                       std::all_of(pair.counterfactual.begin(), pair.counterfactual.end(), known) &&
                       known(pair.clean_answer) && known(pair.patch_answer);
    if (!whole || pair.clean == pair.counterfactual || pair.clean_answer == pair.patch_answer) return {};
  }
  return pairs;
}

/// Two pairs of ids; the prompts of a pair agree in their first token.
std::vector<TokenPair> drawn_pairs(std::int64_t vocabulary, std::int64_t length) {
  std::mt19937_64 random(0);
  const auto draw = [&] {
    return static_cast<std::int64_t>(draw_below(random, static_cast<std::uint64_t>(vocabulary)));
  };
  std::vector<TokenPair> pairs(2);
  for (TokenPair& pair : pairs) {
    for (std::int64_t i = 0; i < length; ++i) pair.clean.push_back(draw());
    pair.counterfactual = pair.clean;
    for (std::int64_t i = length / 2; i < length; ++i) {
      std::int64_t& id = pair.counterfactual[static_cast<std::size_t>(i)];
      id = (id + 1 + static_cast<std::int64_t>(draw_below(random, static_cast<std::uint64_t>(vocabulary - 1)))) %
           vocabulary;
    }
    pair.clean_answer = draw();
    pair.patch_answer = (pair.clean_answer + 1) % vocabulary;
  }
  return pairs;
}

Settings examined_settings(const std::filesystem::path& folder, const std::filesystem::path& pairs_file) {
  const std::string file = std::filesystem::absolute(pairs_file.empty() ? "none" : pairs_file).string();
  const nlohmann::json text = {{"schema", 1},
                               {"name", "doctor"},
                               {"model", {{"path", std::filesystem::absolute(folder).string()}, {"device", "cpu"}}},
                               {"pairs", {{"train_file", file}, {"train", 2}, {"unfit", "skip"}}},
                               {"attribution", {{"method", "ig-acts"}}},
                               {"threads", 1}};
  return settings_of(key_table(), text.dump(), "doctor");
}

}  // namespace

Job examined_job(LoadedModel& loaded, const std::filesystem::path& pairs_file) {
  const Settings settings = examined_settings(loaded.checkpoint().folder(), pairs_file);
  Job job;
  job.config = run_config(settings);
  job.title = job.config.name;
  job.working = job.exact = loaded.network(at::kFloat, job.device, Communicator(), warn_user);
  job.measures = loaded.measures();
  job.checkpoint = loaded.checkpoint();
  const Architecture& a = job.architecture();
  if (has_tokenizer(loaded.checkpoint().folder()) || !pairs_file.empty()) job.tokenizer = loaded.tokenizer();
  if (!pairs_file.empty()) {
    job.pairs = loaded.pairs(pair_options_for(job.config, a));
  } else {
    if (job.tokenizer) job.pairs.train = pairs_of_texts(*job.tokenizer, a.vocabulary);
    if (job.pairs.train.empty() || job.pairs.train.front().length() > a.max_positions) {
      job.pairs.train = drawn_pairs(a.vocabulary, std::min(drawn_length, a.max_positions));
    }
  }
  settle_job(job, settings);
  return job;
}

}  // namespace tributary
