// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/pair_notes.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

#include "io/detail/pairs/length_choice.h"
#include "io/detail/pairs/pair_judge.h"
#include "io/detail/pairs/prompt_groups.h"
#include "io/detail/pairs/spacing.h"

namespace tributary {
namespace {

using detail::pairs::Spacing;

/// Pairs of which something odd is true, and the first of them.
struct Odd {
  std::size_t pairs = 0;
  std::string example;

  void add(const std::string& shown) {
    if (pairs++ == 0) example = shown;
  }
};

std::string place_in_file(const PromptPair& pair) { return fmt::format("{}:{}", pair.file, pair.line); }

/// The end of a prompt, from its last word on, with what follows it.
std::string_view last_word(std::string_view prompt) {
  const std::size_t end = prompt.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return prompt;
  const std::size_t space = prompt.find_last_of(" \t\r\n", end);
  return space == std::string_view::npos ? prompt : prompt.substr(space + 1);
}

/// "'is' + 'Paris' reads 'isParis'" for the first prompt and answer of a pair that lie so; nothing: none does.
std::optional<std::string> found_spacing(const PromptPair& pair, Spacing wanted) {
  using detail::pairs::in_quotes;
  for (const auto& prompt : {std::optional(pair.clean_prefix), pair.patch_prefix}) {
    for (const auto& answer : {std::optional(pair.clean_answer), pair.patch_answer}) {
      if (!prompt || !answer || detail::pairs::spacing_between(*prompt, *answer) != wanted) continue;
      const std::string word(last_word(*prompt));
      return fmt::format("{}: {} + {} reads {}", place_in_file(pair), in_quotes(word), in_quotes(*answer),
                         in_quotes(word + *answer));
    }
  }
  return std::nullopt;
}

/// Whether " " + answer begins with a token that is more than the space.
bool takes_a_space(const Tokenizer& words, const std::string& prompt, const std::string& answer) {
  const std::vector<std::int64_t> before = words.encode(prompt, SpecialTokens::omit);
  const std::vector<std::int64_t> after = words.encode(prompt + " " + answer, SpecialTokens::omit);
  return after.size() <= before.size() || !detail::pairs::is_blank(words.text_of(after[before.size()]));
}

bool take_a_space(const Tokenizer& words, const PromptPair& pair) {
  for (const auto& prompt : {std::optional(pair.clean_prefix), pair.patch_prefix}) {
    for (const auto& answer : {std::optional(pair.clean_answer), pair.patch_answer}) {
      if (prompt && answer && !takes_a_space(words, *prompt, *answer)) return false;
    }
  }
  return true;
}

void note_spacing(const PairSet& set, const std::optional<Tokenizer>& words, std::vector<std::string>& notes) {
  Odd missing, doubled;
  for (const auto* side : {&set.train, &set.test}) {
    for (const TokenPair& pair : *side) {
      const auto shown_missing = found_spacing(pair.text, Spacing::missing);
      if (shown_missing && (!words || take_a_space(*words, pair.text))) missing.add(*shown_missing);
      if (const auto shown = found_spacing(pair.text, Spacing::doubled)) doubled.add(*shown);
    }
  }
  const std::size_t all = set.train.size() + set.test.size();
  if (missing.pairs > 0) {
    notes.push_back(
        fmt::format("in {} of {} pairs an answer follows a word without a space ({}): is a space missing? "
                    "An answer that is a new word begins with one",
                    missing.pairs, all, missing.example));
  }
  if (doubled.pairs > 0) {
    notes.push_back(
        fmt::format("in {} of {} pairs the prompt ends in white space and an answer begins with a space "
                    "({}): is one too many? End the prompt without it",
                    doubled.pairs, all, doubled.example));
  }
}

void note_repeated(const std::vector<TokenPair>& pairs, const char* which, std::vector<std::string>& notes) {
  std::map<std::tuple<std::string, std::optional<std::string>, std::string, std::optional<std::string>>,
           const PromptPair*>
      met;
  Odd again;
  for (const TokenPair& pair : pairs) {
    const PromptPair& text = pair.text;
    const auto [first, is_new] =
        met.try_emplace({text.clean_prefix, text.patch_prefix, text.clean_answer, text.patch_answer}, &text);
    if (!is_new) again.add(fmt::format("{} repeats {}", place_in_file(text), place_in_file(*first->second)));
  }
  if (again.pairs == 0) return;
  notes.push_back(
      fmt::format("{} of {} {} pairs repeat another one ({}), which so weighs more than the others; leave "
                  "them out if that is not meant",
                  again.pairs, pairs.size(), which, again.example));
}

/// Intervals draw pairs with the same two prompts together (docs/results.md), so prompts are compared with what is
/// drawn.
void note_shared(const std::vector<TokenPair>& pairs, const char* which, std::vector<std::string>& notes) {
  std::set<detail::pairs::PromptKey> drawn;
  for (const TokenPair& pair : pairs) drawn.insert(detail::pairs::key_of(pair.text));
  const std::size_t prompts = detail::pairs::different_prompts(pairs).size();
  if (prompts >= drawn.size()) return;
  notes.push_back(
      fmt::format("{} {} pairs are made of {} prompts, and intervals and standard errors over pairs take "
                  "pairs for independent: they are too narrow",
                  pairs.size(), which, prompts));
}

}  // namespace

std::vector<std::string> notes_on_texts(const PairSet& pairs, const std::optional<Tokenizer>& words) {
  std::vector<std::string> notes;
  note_spacing(pairs, words, notes);
  note_repeated(pairs.train, "training", notes);
  note_repeated(pairs.test, "held-out", notes);
  note_shared(pairs.train, "training", notes);
  note_shared(pairs.test, "held-out", notes);
  return notes;
}

std::string note_on_lengths(const PairSet& pairs, const PairOptions& options) {
  const std::int64_t others = pairs.lengths.others();
  if (others == 0 || options.length) return {};
  return fmt::format("{} pair{} that fit{} otherwise {} skipped for {} token length: {}", others,
                     others == 1 ? "" : "s", others == 1 ? "s" : "", others == 1 ? "is" : "are",
                     others == 1 ? "its" : "their", detail::pairs::choice_of_length(pairs.lengths, options));
}

}  // namespace tributary
