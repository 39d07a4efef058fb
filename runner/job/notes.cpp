// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "runner/job/averaged_prompts.h"
#include "runner/job/model.h"

namespace tributary {
namespace {

constexpr std::array<const char*, 4> circuit_sizes = {"circuit.counts", "circuit.fractions", "circuit.thresholds",
                                                      "circuit.mass"};

}  // namespace

std::vector<std::string> notes_on_model(const Job& job) {
  std::vector<std::string> notes;
  if (job.checkpoint && has_untied_head(*job.checkpoint, job.architecture())) notes.emplace_back(untied_head_note);
  for (std::string& note : job.tokenizer->notes()) notes.push_back(std::move(note));
  return notes;
}

std::string text_of_prefix(const Tokenizer& tokenizer) {
  std::string text;
  for (const std::int64_t id : tokenizer.prefix_ids()) {
    text += fmt::format("{}'{}' ({})", text.empty() ? "" : " ", tokenizer.text_of(id), id);
  }
  return text.empty() ? "nothing" : text;
}

std::vector<std::string> notes_on_pairs(const Job& job, const Settings& settings) {
  std::vector<std::string> notes;
  const auto few = [&notes](const char* key, const std::optional<std::int64_t>& wanted, std::size_t found) {
    if (!wanted || *wanted <= static_cast<std::int64_t>(found)) return;
    notes.push_back(fmt::format("{} asks for {} pairs, and there are {}", key, *wanted, found));
  };
  few("pairs.train", job.config.pairs.train, job.pairs.train.size());
  few("pairs.test", job.config.pairs.test, job.pairs.test.size());
  const bool wants_circuits = std::any_of(circuit_sizes.begin(), circuit_sizes.end(),
                                          [&settings](const char* key) { return settings.given(key); });
  if (job.pairs.test.empty() && wants_circuits) {
    notes.emplace_back("no pairs are held out, so no circuits are evaluated; set pairs.test, or pairs.test_file");
  }
  return notes;
}

std::vector<std::string> notes_on(const Job& job, const Settings& settings) {
  std::vector<std::string> notes = notes_on_model(job);
  if (!job.tokenizer->prefix_ids().empty()) {
    notes.push_back("every prompt begins with " + text_of_prefix(*job.tokenizer) + ", which the tokenizer puts there");
  }
  for (std::string& note : notes_on_pairs(job, settings)) notes.push_back(std::move(note));
  for (std::string& note : notes_on_means(job)) notes.push_back(std::move(note));
  return notes;
}

}  // namespace tributary
