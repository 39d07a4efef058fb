// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which pairs train and which test: reading and judging are elsewhere.
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "common/errors.h"
#include "io/detail/base/content_hash.h"
#include "io/detail/base/problem_list.h"
#include "io/detail/pairs/prompt_groups.h"
#include "io/detail/pairs/split.h"
#include "io/pairs.h"

namespace tributary {
namespace {

std::string place_of(const PromptPair& pair) { return fmt::format("{}:{}", pair.file, pair.line); }

void check_sources(const PairOptions& options) {
  if (options.file.empty() == options.train_file.empty()) {
    throw UserError("", options.file.empty() ? "no pairs are given; set pairs.file, or pairs.train_file"
                                             : "pairs.file and pairs.train_file exclude each other; keep one of them");
  }
  if (!options.file.empty() && !options.test_file.empty()) {
    throw UserError("", "pairs.test_file goes with pairs.train_file (pairs.file is split by itself); keep one form");
  }
  if (options.file.empty() && options.test_file.empty() && options.test.value_or(0) > 0) {
    throw UserError("",
                    fmt::format("pairs.test asks for {} pairs but there is no pairs.test_file; add it", *options.test));
  }
  for (const auto& count : {options.train, options.test, options.length}) {
    TRIBUTARY_EXPECT(count.value_or(0) >= 0, "the settings table bounds these counts");
  }
}

/// Training pairs by their two prompts.
std::map<detail::pairs::PromptKey, const PromptPair*> by_prompts(const std::vector<TokenPair>& train) {
  std::map<detail::pairs::PromptKey, const PromptPair*> found;
  for (const TokenPair& pair : train) found.emplace(detail::pairs::key_of(pair.text), &pair.text);
  return found;
}

void refuse_overlap(const PairSet& set) {
  const auto trained = by_prompts(set.train);
  detail::ProblemList problems;
  for (const TokenPair& pair : set.test) {
    const auto found = trained.find(detail::pairs::key_of(pair.text));
    if (found == trained.end()) continue;
    problems.add(place_of(pair.text),
                 fmt::format("this test pair has the prompts of the training pair {} (it would not be "
                             "held out); remove one of them, or set pairs.overlap: allow",
                             place_of(*found->second)));
  }
  problems.throw_if_any();
}

void add_text(detail::ContentHash& hash, const std::optional<std::string>& text) {
  hash.add(static_cast<std::int64_t>(text.has_value()));
  if (text) hash.add(*text);
}

void add_ids(detail::ContentHash& hash, const std::vector<std::int64_t>& ids) {
  hash.add(static_cast<std::int64_t>(ids.size()));
  for (const std::int64_t id : ids) hash.add(id);
}

std::string hash_of(std::initializer_list<const std::vector<TokenPair>*> parts) {
  detail::ContentHash hash;
  for (const std::vector<TokenPair>* pairs : parts) {
    hash.add(static_cast<std::int64_t>(pairs->size()));
    for (const TokenPair& pair : *pairs) {
      hash.add(pair.text.clean_prefix);
      add_text(hash, pair.text.patch_prefix);
      hash.add(pair.text.clean_answer);
      add_text(hash, pair.text.patch_answer);
      hash.add(pair.text.case_label);
      add_ids(hash, pair.clean);
      add_ids(hash, pair.counterfactual);
      hash.add(pair.clean_answer);
      hash.add(pair.patch_answer);
    }
  }
  return hash.hex();
}

/// Fills in what follows from the pairs: counts of what the two sides share, and the hashes.
void describe(PairSet& set) {
  const auto trained = by_prompts(set.train);
  set.overlapping = std::count_if(set.test.begin(), set.test.end(), [&trained](const TokenPair& pair) {
    return trained.contains(detail::pairs::key_of(pair.text));
  });
  const std::set<std::string> known = detail::pairs::different_prompts(set.train);
  const std::set<std::string> tested = detail::pairs::different_prompts(set.test);
  set.test_prompts = std::ssize(tested);
  set.shared_prompts = std::count_if(tested.begin(), tested.end(),
                                     [&known](const std::string& prompt) { return known.contains(prompt); });
  set.hash = hash_of({&set.train, &set.test});
  set.train_hash = hash_of({&set.train});
  set.test_hash = hash_of({&set.test});
}

}  // namespace

std::int64_t Lengths::others() const {
  std::int64_t count = 0;
  for (const auto& [length, of_it] : pairs) count += length == taken ? 0 : of_it;
  return taken == 0 ? 0 : count;
}

PairSet prepare_pairs(const PairOptions& options, const Tokenizer& tokenizer) {
  check_sources(options);
  using detail::pairs::Sieve;
  Sieve sieve(options, tokenizer);
  detail::pairs::Split split{{"pairs.train", options.train, {}}, {"pairs.test", options.test, {}}};
  const Sieve::Files files = options.file.empty() ? Sieve::Files::two : Sieve::Files::one;
  if (files == Sieve::Files::one) {
    detail::pairs::split_one_file(options, sieve, split);
  } else {
    detail::pairs::split_two_files(options, sieve, split);
  }
  if (options.unfit == Unfit::refuse) sieve.refuse_unfit(files);
  const bool one_file = files == Sieve::Files::one;
  sieve.require_some(split, split.train, one_file ? options.file : options.train_file, files);
  sieve.require_some(split, split.test, one_file ? options.file : options.test_file, files);
  PairSet set;
  set.train = std::move(split.train.pairs);
  set.test = std::move(split.test.pairs);
  set.skipped = sieve.unfit(files);
  set.lengths = sieve.lengths();
  if (options.overlap == Overlap::refuse) refuse_overlap(set);
  describe(set);
  return set;
}

PairSet chosen_pairs(const PairSet& set, const std::vector<std::int64_t>& keep, const std::string& reason) {
  TRIBUTARY_EXPECT(keep.size() == set.train.size() + set.test.size(), "a word on every pair");
  PairSet chosen;
  chosen.skipped = set.skipped;
  chosen.lengths = set.lengths;
  auto kept = keep.begin();
  for (const auto side : {&PairSet::train, &PairSet::test}) {
    for (const TokenPair& pair : set.*side) {
      if (*kept++ != 0) {
        (chosen.*side).push_back(pair);
      } else {
        chosen.skipped.push_back({pair.text.file, pair.text.line, reason});
      }
    }
  }
  describe(chosen);
  return chosen;
}

}  // namespace tributary
