// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Prompt pairs: read from JSON lines, tokenised, checked, split into training and test pairs. Every
// pair that cannot be used is named with its reason; nothing is dropped silently.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/tokenizer.h"

namespace tributary {

/// One line of a pairs file. Unpaired prompts have no patch_prefix.
struct PromptPair {
  std::string clean_prefix;
  std::optional<std::string> patch_prefix;  //!< the counterfactual prompt
  std::string clean_answer;
  std::optional<std::string> patch_answer;
  std::string case_label;  //!< "case" in the file; empty when absent
  std::string file;
  int line = 0;  //!< 1-based
};

/// Reads one JSON object a line; blank lines, CRLF and a UTF-8 byte order mark at the start are tolerated. Throws
/// UserError with every broken line (file:line:column; the first 5 of a kind of mistake and 50 in all, then "… and N
/// more"): JSON errors, invalid UTF-8, missing, unknown, duplicate or non-string keys, an empty prompt or answer, the
/// character U+0000. A file that is empty or has another form (CSV, a JSON array, objects over several lines) gets one.
std::vector<PromptPair> read_pairs(const std::filesystem::path& file);

/// A pair ready for the network.
struct TokenPair {
  PromptPair text;
  std::vector<std::int64_t> clean;           //!< [pos] ids of the clean prompt, specials included
  std::vector<std::int64_t> counterfactual;  //!< [pos] same length; empty when unpaired
  std::int64_t clean_answer = -1;            //!< y: the answer's token, or its first one (Answer)
  std::int64_t patch_answer = -1;            //!< y'; -1 when there is none

  [[nodiscard]] std::int64_t length() const { return static_cast<std::int64_t>(clean.size()); }
};

enum class Unfit { refuse, skip };
enum class Overlap { refuse, allow };
/// What of an answer is compared: all of it behind the prompt, which must be one token, the first token of that, or the
/// first token of its text alone, whatever stands before it.
enum class Answer { whole, first_token, alone };
/// What the metric and the baseline need of each pair.
enum class Needs { nothing, it };

/// How pairs are chosen; field names are the config's keys under `pairs`.
struct PairOptions {
  std::filesystem::path file;         //!< one file split by prompt pair with `seed`, or …
  std::filesystem::path train_file;   //!< … two files, taken in file order
  std::filesystem::path test_file;    //!< may be empty: no held-out pairs
  std::optional<std::int64_t> train;  //!< so many fitting pairs; nothing: all (with `file`: what `test` leaves)
  std::optional<std::int64_t> test;   //!< the same (with `file` and no `train` either: none)
  std::uint64_t seed = 0;
  Unfit unfit = Unfit::refuse;
  Overlap overlap = Overlap::refuse;
  Answer answer = Answer::whole;
  Bos bos = Bos::file;     //!< what the tokenizer that is given with these options puts before every prompt
  bool one_length = true;  //!< positions: keep. All pairs must have one token length
  std::optional<std::int64_t>
      length;  //!< with one_length: that length; nothing: the first fitting pair's, as they are taken
  Needs counterfactual = Needs::it;  //!< whether a pair without patch_prefix is unfit
  Needs patch_answer = Needs::it;    //!< whether a pair without patch_answer is unfit
  std::int64_t vocabulary = 0;       //!< ids at or above this are unfit (0: not checked)
  std::int64_t max_length = 0;       //!< longer prompts are unfit (0: not checked)

  friend bool operator==(const PairOptions&, const PairOptions&) = default;
};

struct SkippedPair {
  std::string file;
  int line = 0;
  std::string reason;
};

/// Token lengths where all pairs must have one (PairOptions::one_length).
struct Lengths {
  std::int64_t taken = 0;  //!< that of the set's pairs; 0: none is wanted, or no pair fits
  std::string file;        //!< where the pair is whose length it is; empty: pairs.length says it
  int line = 0;
  std::map<std::int64_t, std::int64_t> pairs;  //!< pairs looked at that fit but for their length, by length

  /// How many of them have another length than the one taken.
  [[nodiscard]] std::int64_t others() const;
};

struct PairSet {
  std::vector<TokenPair> train;
  std::vector<TokenPair> test;
  std::vector<SkippedPair> skipped;  //!< unfit ones met on the way, with `unfit: skip`
  Lengths lengths;
  std::int64_t overlapping = 0;     //!< test pairs whose two prompts (also reversed) are those of a training pair
  std::int64_t test_prompts = 0;    //!< different prompts of the test pairs, clean and counterfactual ones
  std::int64_t shared_prompts = 0;  //!< those of them that are prompts of some training pair, of whatever role
  // XXH3-128 of texts, case labels and ids in order, 32 hex digits: the data's identity.
  std::string hash;                   //!< of all of them
  std::string train_hash, test_hash;  //!< of one part
};

/// Tokenises, checks and splits. A pair is fit when clean and counterfactual differ but have one token length, and
/// ids(prompt + answer) is ids(prompt) plus exactly one token (with `first-token`: one or more, of which the first is
/// taken; with `alone` no more than that the answer's text has tokens), for y after both prompts and y' after both
/// prompts, the same token after either, and y is not y'. What a pair has is checked even where the run does not need
/// it. With one `file`: pairs are grouped by their unordered prompt pair, groups shuffled by `seed` (mt19937_64 and our
/// own Fisher–Yates, so that the split is the same everywhere), training pairs taken first, then test pairs from the
/// groups left; without `train`, the last groups that make up `test` are held out and the others train. Both numbers
/// are limits: under `skip`, where training would take all pairs that fit, the last groups are held out, in the
/// proportion asked for. Under `skip` pairs are judged only until enough are found, under `refuse` all of them. Throws
/// UserError: unfit pairs (each named with its reason) under `refuse`; overlap under `refuse`; no pair left that fits;
/// no training pair at all; both or neither of `file` and `train_file`; a tokenizer that puts special tokens after the
/// text; a doubled BOS (the prompt's text begins with the special token that the tokenizer adds anyway).
PairSet prepare_pairs(const PairOptions& options, const Tokenizer& tokenizer);

/// Some pairs of a set, with the hash and the counts that are theirs; the others are listed as skipped for this reason.
/// keep: 1 or 0 for each training pair, then for each held-out one.
PairSet chosen_pairs(const PairSet& set, const std::vector<std::int64_t>& keep, const std::string& reason);

}  // namespace tributary
