// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Judges pairs one after the other and puts those that fit on two sides, training and test; keeps what was unfit, and
// says what is wrong with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/errors.h"
#include "io/detail/pairs/pair_judge.h"
#include "io/detail/pairs/prompt_groups.h"
#include "io/pairs.h"

namespace tributary::detail::pairs {

/// Pairs taken so far for one side of the split, up to a wanted number.
struct Share {
  const char* key;                     //!< config key, for messages
  std::optional<std::int64_t> wanted;  //!< nothing: no limit
  std::vector<TokenPair> pairs;

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(pairs.size()); }
  [[nodiscard]] bool full() const { return wanted && count() >= *wanted; }
};

struct Split {
  Share train;
  Share test;
};

/// Judges pairs; the first fitting one sets the length when the options leave it open.
class Sieve {
 public:
  /// Both must outlive it.
  Sieve(const PairOptions& options, const Tokenizer& tokenizer)
      : options_(options), tokenizer_(tokenizer), judge_(options, tokenizer) {
    if (options.one_length) lengths_.taken = options.length.value_or(0);
  }

  /// Under `refuse` every pair is judged, so that all unfit ones can be listed at once.
  [[nodiscard]] bool done_with(const Share& share) const { return share.full() && options_.unfit == Unfit::skip; }
  void fill(Share& share, const Pairs& candidates);

  /// Of one file those are put in its order.
  enum class Files { one, two };
  [[nodiscard]] std::vector<SkippedPair> unfit(Files files) const;
  [[nodiscard]] const Lengths& lengths() const { return lengths_; }
  /// Throws UserError with every unfit pair, and a way out.
  void refuse_unfit(Files files) const;
  /// Throws UserError where a share that must hold pairs holds none: how many fit, and the first reasons of the others.
  void require_some(const Split& split, const Share& share, const std::filesystem::path& file, Files files) const;

 private:
  struct Misfit {
    PromptPair text;
    std::string reason;
    bool unequal_lengths = false;
  };
  std::optional<TokenPair> pass(const PromptPair& text);
  [[nodiscard]] std::vector<Misfit> misfits(Files files) const;
  /// The first `most` reasons why pairs are unfit, each with the first pair that has it, how many more have, and a way
  /// out; and how many pairs have others.
  [[nodiscard]] std::vector<Problem> reasons(std::size_t most, const std::string& before, Files files) const;

  const PairOptions& options_;
  const Tokenizer& tokenizer_;
  PairJudge judge_;
  Lengths lengths_;
  Pairs met_;
  std::vector<Misfit> unfit_;
};

/// train_file and test_file, in their order.
void split_two_files(const PairOptions& options, Sieve& sieve, Split& split);
/// file: whole groups of pairs that share their prompts go to one side.
void split_one_file(const PairOptions& options, Sieve& sieve, Split& split);

}  // namespace tributary::detail::pairs
