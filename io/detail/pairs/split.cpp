// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/split.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/seeded.h"
#include "common/text.h"
#include "io/detail/pairs/length_choice.h"
#include "io/detail/pairs/partners.h"

namespace tributary::detail::pairs {
namespace {

std::string count_of(std::int64_t pairs) { return fmt::format("{} pair{}", pairs, pairs == 1 ? "" : "s"); }

/// A reason without the prompts that it quotes: what is left tells whether two pairs are unfit for the same one.
std::string without_prompts(std::string reason, const PromptPair& pair) {
  for (const std::optional<std::string>& prompt : {std::optional(pair.clean_prefix), pair.patch_prefix}) {
    const std::string quoted = in_quotes(prompt.value_or(""));
    if (const std::size_t at = reason.find(quoted); prompt && at != std::string::npos) reason.erase(at, quoted.size());
  }
  return reason;
}

/// `train` is given: training first; test takes from the groups left.
void split_forwards(const std::vector<Pairs>& groups, Sieve& sieve, Split& split) {
  for (const Pairs& group : groups) {
    Share& share = split.train.full() ? split.test : split.train;
    if (sieve.done_with(share)) return;
    sieve.fill(share, group);
  }
}

/// Training has taken all that fit, and some were to be held out: test takes the last groups, in the proportion of the
/// numbers asked for. A single group stays where it is.
void hold_some_out(Split& split) {
  std::vector<TokenPair>& train = split.train.pairs;
  if (!split.test.pairs.empty() || split.test.wanted.value_or(0) == 0) return;
  const std::int64_t asked = *split.train.wanted + *split.test.wanted;
  const std::int64_t share = std::max<std::int64_t>(1, split.train.count() * *split.test.wanted / asked);
  std::int64_t cut = split.train.count();
  for (std::int64_t i = cut - 1; i >= 1 && split.train.count() - cut < share; --i) {
    const auto pair = train.begin() + i;
    if (key_of((pair - 1)->text) != key_of(pair->text)) cut = i;
  }
  split.test.pairs.assign(train.begin() + cut, train.end());
  train.resize(static_cast<std::size_t>(cut));
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

}  // namespace

std::optional<TokenPair> Sieve::pass(const PromptPair& text) {
  met_.push_back(text);
  Judgement judgement = judge_.judge(text);
  if (judgement.reason.empty() && options_.one_length) {
    const std::int64_t length = judgement.pair.length();
    ++lengths_.pairs[length];
    if (lengths_.taken == 0) {
      lengths_.taken = length;
      lengths_.file = text.file;
      lengths_.line = text.line;
    }
    judgement.reason = length_reason(judgement.pair, lengths_.taken);
  }
  if (judgement.reason.empty()) return std::move(judgement.pair);
  unfit_.push_back({text, std::move(judgement.reason), judgement.unequal_lengths});
  return std::nullopt;
}

void Sieve::fill(Share& share, const Pairs& candidates) {
  for (const PromptPair& candidate : candidates) {
    if (done_with(share)) return;
    std::optional<TokenPair> pair = pass(candidate);
    if (pair && !share.full()) share.pairs.push_back(std::move(*pair));
  }
}

std::vector<Sieve::Misfit> Sieve::misfits(Files files) const {
  std::vector<Misfit> list = unfit_;
  if (files == Files::one) {
    std::sort(list.begin(), list.end(), [](const Misfit& a, const Misfit& b) { return a.text.line < b.text.line; });
  }
  return list;
}

std::vector<SkippedPair> Sieve::unfit(Files files) const {
  std::vector<SkippedPair> skipped;
  for (const Misfit& misfit : misfits(files)) {
    skipped.push_back({misfit.text.file, misfit.text.line, misfit.reason});
  }
  return skipped;
}

std::vector<Problem> Sieve::reasons(std::size_t most, const std::string& before, Files files) const {
  struct Line {
    const Misfit* first;
    std::size_t pairs;
  };
  const std::vector<Misfit> list = misfits(files);
  std::vector<Line> lines;
  std::map<std::string, std::size_t> line_of;
  for (const Misfit& misfit : list) {
    const auto [found, is_new] = line_of.emplace(without_prompts(misfit.reason, misfit.text), lines.size());
    if (is_new) lines.push_back({&misfit, 0});
    ++lines[found->second].pairs;
  }
  const Partners partners(met_, judge_, tokenizer_);
  std::vector<Problem> problems;
  std::size_t unlisted = list.size();
  for (std::size_t i = 0; i < std::min(most, lines.size()); ++i) {
    const auto& [misfit, pairs] = lines[i];
    const std::string way_out = misfit->unequal_lengths ? partners.suggestion(misfit->text) : "";
    const std::string others =
        pairs == 1 ? "" : fmt::format(" (the same in {} more pair{})", pairs - 1, pairs == 2 ? "" : "s");
    problems.push_back(
        {fmt::format("{}:{}", misfit->text.file, misfit->text.line), before + misfit->reason + way_out + others});
    unlisted -= pairs;
  }
  if (unlisted > 0) problems.push_back({"", fmt::format("… and {} more", unlisted)});
  return problems;
}

void Sieve::refuse_unfit(Files files) const {
  if (unfit_.empty()) return;
  constexpr std::size_t most = 49;
  const std::int64_t all = std::ssize(met_);
  std::vector<Problem> problems = {
      {"", fmt::format("{} of {} pairs cannot be used; mend them, or set pairs.unfit: skip to leave them out and have "
                       "them counted",
                       unfit_.size(), all)}};
  if (std::string lengths = choice_of_length(lengths_, options_); !lengths.empty()) {
    problems.push_back({"", std::move(lengths)});
  }
  for (Problem& problem : reasons(most, "", files)) problems.push_back(std::move(problem));
  throw UserError(std::move(problems));
}

void Sieve::require_some(const Split& split, const Share& share, const std::filesystem::path& file, Files files) const {
  const bool train = &share == &split.train;
  const std::int64_t wanted = train ? std::max<std::int64_t>(share.wanted.value_or(1), 1) : share.wanted.value_or(0);
  if (!share.pairs.empty() || wanted == 0) return;
  constexpr std::size_t shown = 5;
  const std::int64_t fit = files == Files::two ? 0 : split.train.count() + split.test.count();
  const std::string key = share.wanted ? fmt::format("{} asks for {}", share.key, count_of(wanted))
                                       : fmt::format("{} needs {}", share.key, count_of(wanted));
  const std::string left = fit == 0 ? "none fits"
                           : train  ? fmt::format("all that fit ({}) are held out", fit)
                                    : fmt::format("all that fit ({}) are training pairs", fit);
  const char* const way_out = fit == 0 ? "" : train ? "lower pairs.test, " : "lower pairs.train, ";
  std::vector<Problem> problems = {
      {file.string(), fmt::format("{}, and {} ({} were skipped); {}add pairs, or mend the skipped ones", key, left,
                                  unfit_.size(), way_out)}};
  if (std::string lengths = choice_of_length(lengths_, options_); !lengths.empty()) {
    problems.push_back({"", std::move(lengths)});
  }
  for (Problem& problem : reasons(shown, "skipped: ", files)) problems.push_back(std::move(problem));
  throw UserError(std::move(problems));
}

void split_two_files(const PairOptions& options, Sieve& sieve, Split& split) {
  sieve.fill(split.train, read_pairs(options.train_file));
  if (!options.test_file.empty()) sieve.fill(split.test, read_pairs(options.test_file));
}

void split_one_file(const PairOptions& options, Sieve& sieve, Split& split) {
  std::vector<Pairs> groups = group_by_prompts(read_pairs(options.file));
  shuffle(groups, options.seed);
  if (split.train.wanted) {
    split_forwards(groups, sieve, split);
    if (options.unfit == Unfit::skip) hold_some_out(split);
  } else {
    if (!split.test.wanted) split.test.wanted = 0;
    split_backwards(groups, sieve, split);
  }
}

}  // namespace tributary::detail::pairs
