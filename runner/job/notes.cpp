// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/job/notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "io/pair_notes.h"
#include "runner/job/answers.h"
#include "runner/job/averaged_prompts.h"
#include "runner/job/model.h"
#include "runner/job/post_norms.h"

namespace tributary {
namespace {

constexpr std::array<const char*, 4> circuit_sizes = {"circuit.counts", "circuit.fractions", "circuit.thresholds",
                                                      "circuit.mass"};

/// What stands before every prompt, and who puts it there or takes it away; empty: there is nothing to tell.
std::string note_on_beginnings(const Job& job) {
  const Tokenizer& words = *job.tokenizer;
  const Tokenizer of_file = words.with_bos(Bos::file);
  if (!words.prefix_ids().empty()) {
    const bool own = words.prefix_ids() == of_file.prefix_ids();
    return "every prompt begins with " + text_of_prefix(words) +
           (own ? ", which the tokenizer puts there" : ", which pairs.bos: add puts there");
  }
  if (of_file.prefix_ids().empty()) return "";
  return "no prompt begins with " + text_of_prefix(of_file) +
         ", which the tokenizer puts there: pairs.bos: omit takes it away, and a model that was trained with it may "
         "answer otherwise";
}

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
    text += fmt::format("{}'{}' ({})", text.empty() ? "" : " ", printable(tokenizer.text_of(id), LineEnds::escape), id);
  }
  return text.empty() ? "nothing" : text;
}

bool wants_circuits(const Settings& settings) {
  return std::any_of(circuit_sizes.begin(), circuit_sizes.end(),
                     [&settings](const char* key) { return settings.given(key); });
}

std::vector<std::string> notes_on_numbers(const Job& job, const Settings& settings) {
  std::vector<std::string> notes;
  if (!job.dtype_note.empty()) notes.push_back(job.dtype_note);
  notes.insert(notes.end(), job.dictionary_notes.begin(), job.dictionary_notes.end());
  const bool unsolved = std::any_of(job.pairs.skipped.begin(), job.pairs.skipped.end(),
                                    [](const SkippedPair& pair) { return pair.reason == unsolved_pair; });
  const auto few = [&](const char* key, const std::optional<std::int64_t>& wanted, std::size_t found) {
    if (!wanted || *wanted <= static_cast<std::int64_t>(found)) return;
    notes.push_back(fmt::format("{} asks for {} pairs, and there are {}{}", key, *wanted, found,
                                unsolved ? " that the model solves (pairs.correct_only)" : ""));
  };
  few("pairs.train", job.config.pairs.train, job.pairs.train.size());
  few("pairs.test", job.config.pairs.test, job.pairs.test.size());
  if (job.pairs.test.empty() && wants_circuits(settings)) {
    notes.emplace_back("no pairs are held out, so no circuits are evaluated; set pairs.test, or pairs.test_file");
  }
  const std::int64_t scored = job.scored_nodes();
  if (settings.given("top") && scored > 0 && job.config.top > scored && !job.dictionaries) {  // features are more
    notes.push_back(fmt::format("top asks for {} nodes, and {} have a score", job.config.top, scored));
  }
  if (std::string note = note_on_lengths(job.pairs, job.config.pairs); !note.empty()) notes.push_back(std::move(note));
  for (std::string& note : notes_on_texts(job.pairs, job.tokenizer)) notes.push_back(std::move(note));
  const Method& method = job.config.method;
  const std::string normed = normed_parts(job);
  if (!normed.empty() && method.baseline == Baseline::zero && !method.rules.has(Rule::norm)) {
    notes.push_back(fmt::format(
        "a norm stands behind each {}, and makes the same of the output whatever its size: scores against zero nearly "
        "cancel in every layer; take attribution.baseline: pair or mean, or the rule norm",
        normed));
  }
  return notes;
}

std::vector<std::string> notes_on(const Job& job, const Settings& settings) {
  std::vector<std::string> notes = notes_on_model(job);
  if (std::string note = note_on_beginnings(job); !note.empty()) notes.push_back(std::move(note));
  for (std::string& note : notes_on_numbers(job, settings)) notes.push_back(std::move(note));
  for (std::string& note : notes_on_means(job)) notes.push_back(std::move(note));
  return notes;
}

}  // namespace tributary
