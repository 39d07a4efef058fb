// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/averaged_prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "common/text.h"

namespace tributary {
namespace {

std::int64_t count_at(const std::map<std::int64_t, std::int64_t>& counts, std::int64_t length) {
  const auto found = counts.find(length);
  return found == counts.end() ? 0 : found->second;
}

bool takes_ablation_means(const Job& job) { return job.has_circuit() && job.config.circuit.ablation == Ablation::mean; }

bool from_training(const Job& job) { return job.config.circuit.means_from == CircuitConfig::MeansFrom::train; }

/// "3 of 7 tokens, 1 of 9 tokens": lengths with few prompts; empty: there is none.
std::string few_of(const std::map<std::int64_t, std::int64_t>& counts) {
  std::vector<std::string> few;
  for (const auto& [length, count] : counts) {
    if (count < few_prompts) few.push_back(fmt::format("{} of {} tokens", count, length));
  }
  return join(few);
}

/// Lengths whose only held-out prompt is left to the training pairs.
std::vector<std::int64_t> lone_lengths(const Job& job) {
  std::vector<std::int64_t> lone;
  for (const auto& [length, count] : averaged_prompts(job, job.pairs.test)) {
    if (count == 1) lone.push_back(length);
  }
  return lone;
}

}  // namespace

std::map<std::int64_t, std::int64_t> averaged_prompts(const Job& job, const std::vector<TokenPair>& pairs) {
  std::map<std::int64_t, std::set<std::vector<std::int64_t>>> prompts;
  for (const TokenPair& pair : pairs) {
    prompts[pair.length()].insert(job.config.unpaired ? pair.clean : pair.counterfactual);
  }
  std::map<std::int64_t, std::int64_t> counts;
  for (const auto& [length, different] : prompts) counts[length] = std::ssize(different);
  return counts;
}

std::vector<TokenPair> ablation_pairs(const Job& job) {
  if (from_training(job)) return job.pairs.train;
  const std::vector<std::int64_t> lone = lone_lengths(job);
  const auto is_lone = [&lone](const TokenPair& pair) {
    return std::binary_search(lone.begin(), lone.end(), pair.length());
  };
  std::vector<TokenPair> pairs = job.pairs.test;
  std::erase_if(pairs, is_lone);
  std::copy_if(job.pairs.train.begin(), job.pairs.train.end(), std::back_inserter(pairs), is_lone);
  return pairs;
}

std::vector<std::int64_t> lengths_without_mean(const Job& job) {
  if (!takes_ablation_means(job)) return {};
  const std::map<std::int64_t, std::int64_t> counts = averaged_prompts(job, ablation_pairs(job));
  std::vector<std::int64_t> lengths;
  for (const auto& [length, count] : averaged_prompts(job, job.pairs.test)) {
    if (count_at(counts, length) < (from_training(job) ? 1 : 2)) lengths.push_back(length);
  }
  return lengths;
}

std::vector<std::string> notes_on_means(const Job& job) {
  std::vector<std::string> notes;
  if (job.config.method.baseline == Baseline::mean && job.baseline_prompts.empty()) {
    const std::string few = few_of(averaged_prompts(job, job.pairs.train));
    if (!few.empty()) {
      notes.push_back("attribution.baseline: mean is over few prompts (" + few +
                      "; one alone is the pair's own): give attribution.baseline_file, or more pairs");
    }
  }
  if (!takes_ablation_means(job)) return notes;
  const std::vector<std::int64_t> lone = from_training(job) ? std::vector<std::int64_t>() : lone_lengths(job);
  if (!lone.empty()) {
    notes.push_back("circuit.ablation: mean is over training pairs for held-out prompts of " + in_ranges(lone) +
                    " tokens: one prompt of its length alone would be ablated with its own values");
  }
  const std::string few = few_of(averaged_prompts(job, ablation_pairs(job)));
  if (!few.empty()) {
    notes.push_back("circuit.ablation: mean is over few prompts (" + few +
                    "): a mean over so few is near to single prompts; give more pairs of these lengths");
  }
  return notes;
}

}  // namespace tributary
