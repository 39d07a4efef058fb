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
#include "common/seeded.h"
#include "io/detail/base/content_hash.h"
#include "io/detail/base/problem_list.h"
#include "io/detail/pairs/pair_judge.h"
#include "io/detail/pairs/prompt_groups.h"
#include "io/pairs.h"

namespace tributary {
namespace {

using detail::pairs::Pairs;

std::string place_of(const PromptPair& pair) { return fmt::format("{}:{}", pair.file, pair.line); }

/// Pairs taken so far for one side of the split, up to a wanted number.
struct Share {
  const char* key;                     //!< config key, for messages
  std::optional<std::int64_t> wanted;  //!< nothing: no limit
  std::vector<TokenPair> pairs;

  [[nodiscard]] bool full() const { return wanted && static_cast<std::int64_t>(pairs.size()) >= *wanted; }
};

/// Judges pairs one after the other; the first fitting one sets the length when the options leave it open.
class Sieve {
 public:
  Sieve(const PairOptions& options, const Tokenizer& tokenizer)
      : options_(options), judge_(options, tokenizer), length_(options.length) {}

  /// Under `refuse` every pair is judged, so that all unfit ones can be listed at once.
  [[nodiscard]] bool done_with(const Share& share) const { return share.full() && options_.unfit == Unfit::skip; }

  std::optional<TokenPair> pass(const PromptPair& text) {
    detail::pairs::Judgement judgement = judge_.judge(text);
    if (judgement.reason.empty() && options_.one_length) {
      if (!length_) length_ = judgement.pair.length();
      judgement.reason = detail::pairs::length_reason(judgement.pair, *length_);
    }
    if (judgement.reason.empty()) return std::move(judgement.pair);
    unfit_.push_back({text.file, text.line, std::move(judgement.reason)});
    return std::nullopt;
  }

  void fill(Share& share, const Pairs& candidates) {
    for (const PromptPair& candidate : candidates) {
      if (done_with(share)) return;
      std::optional<TokenPair> pair = pass(candidate);
      if (pair && !share.full()) share.pairs.push_back(std::move(*pair));
    }
  }

  [[nodiscard]] const std::vector<SkippedPair>& unfit() const { return unfit_; }

 private:
  const PairOptions& options_;
  detail::pairs::PairJudge judge_;
  std::optional<std::int64_t> length_;
  std::vector<SkippedPair> unfit_;
};

struct Split {
  Share train;
  Share test;
};

void split_two_files(const PairOptions& options, Sieve& sieve, Split& split) {
  sieve.fill(split.train, read_pairs(options.train_file));
  if (!options.test_file.empty()) sieve.fill(split.test, read_pairs(options.test_file));
}

/// `train` is given: whole groups go to one side, training first; test takes from the groups left.
void split_forwards(const std::vector<Pairs>& groups, Sieve& sieve, Split& split) {
  for (const Pairs& group : groups) {
    Share& share = split.train.full() ? split.test : split.train;
    if (sieve.done_with(share)) return;
    sieve.fill(share, group);
  }
}

/// `train` takes what `test` leaves: test takes the last groups that suffice.
void split_backwards(const std::vector<Pairs>& groups, Sieve& sieve, Split& split) {
  std::vector<std::vector<TokenPair>> fitting;
  for (const Pairs& group : groups) {
    Share all{"", std::nullopt, {}};
    sieve.fill(all, group);
    fitting.push_back(std::move(all.pairs));
  }
  std::size_t cut = fitting.size();
  std::int64_t held_out = 0;
  while (cut > 0 && held_out < *split.test.wanted) held_out += static_cast<std::int64_t>(fitting[--cut].size());
  for (std::size_t g = 0; g < fitting.size(); ++g) {
    Share& share = g < cut ? split.train : split.test;
    for (TokenPair& pair : fitting[g]) {
      if (!share.full()) share.pairs.push_back(std::move(pair));
    }
  }
}

void split_one_file(const PairOptions& options, Sieve& sieve, Split& split) {
  std::vector<Pairs> groups = detail::pairs::group_by_prompts(read_pairs(options.file));
  shuffle(groups, options.seed);
  if (split.train.wanted) {
    split_forwards(groups, sieve, split);
  } else {
    if (!split.test.wanted) split.test.wanted = 0;
    split_backwards(groups, sieve, split);
  }
}

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

void refuse_unfit(const std::vector<SkippedPair>& unfit) {
  if (unfit.empty()) return;
  detail::ProblemList problems;
  problems.add(
      "", fmt::format("{} pairs cannot be used; mend them, or set pairs.unfit: skip to leave them out and have them "
                      "counted",
                      unfit.size()));
  for (const SkippedPair& pair : unfit) problems.add(fmt::format("{}:{}", pair.file, pair.line), pair.reason);
  problems.throw_if_any();
}

/// None of the pairs asked for, with the first reasons why others were skipped. Fewer are fine: the number is a limit.
void require_some(const Share& share, const std::vector<SkippedPair>& skipped, const std::filesystem::path& file) {
  const std::int64_t wanted = share.wanted.value_or(0);
  if (!share.pairs.empty() || wanted == 0) return;
  constexpr std::size_t shown = 5;
  std::vector<Problem> problems = {
      {file.string(),
       fmt::format(
           "{} asks for {} pairs and none is left that fits ({} were skipped); add pairs, or mend the skipped ones",
           share.key, wanted, skipped.size())}};
  for (std::size_t i = 0; i < std::min(shown, skipped.size()); ++i) {
    problems.push_back({fmt::format("{}:{}", skipped[i].file, skipped[i].line), "skipped: " + skipped[i].reason});
  }
  throw UserError(std::move(problems));
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

/// The different prompts of some pairs, of either role.
std::set<std::string> prompts_of(const std::vector<TokenPair>& pairs) {
  std::set<std::string> prompts;
  for (const TokenPair& pair : pairs) {
    prompts.insert(pair.text.clean_prefix);
    if (pair.text.patch_prefix) prompts.insert(*pair.text.patch_prefix);
  }
  return prompts;
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
  const std::set<std::string> known = prompts_of(set.train);
  const std::set<std::string> tested = prompts_of(set.test);
  set.test_prompts = std::ssize(tested);
  set.shared_prompts = std::count_if(tested.begin(), tested.end(),
                                     [&known](const std::string& prompt) { return known.contains(prompt); });
  set.hash = hash_of({&set.train, &set.test});
  set.train_hash = hash_of({&set.train});
  set.test_hash = hash_of({&set.test});
}

}  // namespace

PairSet prepare_pairs(const PairOptions& options, const Tokenizer& tokenizer) {
  check_sources(options);
  Sieve sieve(options, tokenizer);
  Split split{{"pairs.train", options.train, {}}, {"pairs.test", options.test, {}}};
  const bool one_file = !options.file.empty();
  if (one_file) {
    split_one_file(options, sieve, split);
  } else {
    split_two_files(options, sieve, split);
  }

  std::vector<SkippedPair> skipped = sieve.unfit();
  if (one_file) {
    std::sort(skipped.begin(), skipped.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  }
  if (options.unfit == Unfit::refuse) refuse_unfit(skipped);
  const std::filesystem::path& train_source = one_file ? options.file : options.train_file;
  if (split.train.pairs.empty()) split.train.wanted = std::max<std::int64_t>(split.train.wanted.value_or(0), 1);
  require_some(split.train, skipped, train_source);
  require_some(split.test, skipped, one_file ? options.file : options.test_file);
  PairSet set;
  set.train = std::move(split.train.pairs);
  set.test = std::move(split.test.pairs);
  set.skipped = std::move(skipped);
  if (options.overlap == Overlap::refuse) refuse_overlap(set);
  describe(set);
  return set;
}

PairSet chosen_pairs(const PairSet& set, const std::vector<std::int64_t>& keep, const std::string& reason) {
  TRIBUTARY_EXPECT(keep.size() == set.train.size() + set.test.size(), "a word on every pair");
  PairSet chosen;
  chosen.skipped = set.skipped;
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
