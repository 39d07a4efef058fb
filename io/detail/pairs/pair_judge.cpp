// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/pairs/pair_judge.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/errors.h"
#include "common/text.h"
#include "io/detail/pairs/spacing.h"

namespace tributary::detail::pairs {
namespace {

using Ids = std::vector<std::int64_t>;

bool begins_with(const Ids& ids, const Ids& start) {
  return ids.size() >= start.size() && std::equal(start.begin(), start.end(), ids.begin());
}

/// What is left of both once the tokens that they begin and end with alike are taken off.
std::pair<Ids, Ids> differing_tokens(const Ids& a, const Ids& b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  std::size_t front = 0;
  while (front < shorter && a[front] == b[front]) ++front;
  std::size_t back = 0;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  const auto middle = [front, back](const Ids& ids) {
    return Ids(ids.begin() + static_cast<std::ptrdiff_t>(front), ids.end() - static_cast<std::ptrdiff_t>(back));
  };
  return {middle(a), middle(b)};
}

std::string merge_reason(std::string_view prompt, std::string_view answer) {
  std::string reason = fmt::format(
      "the answer {} merges with the end of the prompt {} (so there is no position that "
      "predicts it); ",
      in_quotes(answer), in_quotes(prompt));
  if (prompt.ends_with(' ')) return reason + "end the prompt without the space and begin the answer with it";
  if (!answer.starts_with(' ')) return reason + "begin the answer with a space if a new word is meant";
  return reason + "choose a prompt that ends on a token boundary";
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 48;
  std::string shown;
  if (text.size() > longest) {
    text.remove_prefix(text.size() - longest);
    while ((static_cast<unsigned char>(text.front()) & 0xC0U) == 0x80U) text.remove_prefix(1);
    shown = "…";
  }
  return "'" + shown + printable(text, LineEnds::escape) + "'";
}

PairJudge::PairJudge(const PairOptions& options, const Tokenizer& tokenizer)
    : options_(options), tokenizer_(tokenizer) {
  const std::size_t bare = tokenizer.encode("a", SpecialTokens::omit).size();
  if (tokenizer.encode("a", SpecialTokens::add).size() != tokenizer.prefix_ids().size() + bare) {
    throw UserError("",
                    "the tokenizer puts special tokens after every text (no answer can follow a prompt then); use a "
                    "tokenizer.json whose post_processor adds them at the beginning only");
  }
}

Judgement PairJudge::judge(const PromptPair& text) const {
  Judgement judgement;
  TokenPair& pair = judgement.pair;
  pair.text = text;
  judgement.reason = missing_part(text);
  if (judgement.reason.empty()) judgement.reason = encode_prompts(pair, judgement.unequal_lengths);
  if (judgement.reason.empty()) judgement.reason = encode_answers(pair);
  if (judgement.reason.empty()) judgement.reason = outside_vocabulary(pair);
  return judgement;
}

std::string PairJudge::missing_part(const PromptPair& text) const {
  if (options_.counterfactual == Needs::it && !text.patch_prefix) {
    return "there is no \"patch_prefix\" (this run compares with a counterfactual prompt); add it, or use baseline: "
           "zero or mean and no resample ablation";
  }
  if (options_.patch_answer == Needs::it && !text.patch_answer) {
    return "there is no \"patch_answer\" (this run's metric compares two answers); add it, or use metric: logit";
  }
  if (text.patch_prefix == text.clean_prefix) {
    return "clean and counterfactual prompt are the same (no difference to attribute); change one of them";
  }
  return {};
}

std::string PairJudge::encode_prompts(TokenPair& pair, bool& unequal_lengths) const {
  const PromptPair& text = pair.text;
  pair.clean = tokenizer_.encode(text.clean_prefix, SpecialTokens::add);
  refuse_doubled_bos(text, pair.clean);
  if (pair.clean.empty()) return "the clean prompt has no tokens; give it a text";
  if (options_.max_length > 0 && pair.length() > options_.max_length) {
    return fmt::format("the prompt has {} tokens where the model takes {}; shorten it", pair.length(),
                       options_.max_length);
  }
  if (!text.patch_prefix) return {};
  pair.counterfactual = tokenizer_.encode(*text.patch_prefix, SpecialTokens::add);
  refuse_doubled_bos(text, pair.counterfactual);
  if (pair.clean.size() != pair.counterfactual.size()) {
    unequal_lengths = true;
    const auto [clean, counterfactual] = differing_tokens(pair.clean, pair.counterfactual);
    return fmt::format(
        "clean has {} tokens, counterfactual {} (they are compared position by position): {} against {}; choose words "
        "that give both the same number",
        pair.clean.size(), pair.counterfactual.size(), pieces(clean), pieces(counterfactual));
  }
  if (pair.clean == pair.counterfactual) {
    return "clean and counterfactual prompt have the same tokens (no difference to attribute); change one of them";
  }
  return {};
}

std::string PairJudge::encode_answers(TokenPair& pair) const {
  Ids clean, patch;
  if (std::string reason = encode_answer(pair, pair.text.clean_answer, clean); !reason.empty()) return reason;
  pair.clean_answer = clean.front();
  if (!pair.text.patch_answer) return {};
  if (std::string reason = encode_answer(pair, *pair.text.patch_answer, patch); !reason.empty()) return reason;
  pair.patch_answer = patch.front();
  if (options_.patch_answer == Needs::it && pair.clean_answer == pair.patch_answer) return equal_answers(clean, patch);
  return {};
}

std::string PairJudge::equal_answers(const Ids& clean, const Ids& patch) const {
  if (clean == patch) {
    return fmt::format("both answers are the token {} (their difference is always 0); give two different answers",
                       pieces(clean));
  }
  return fmt::format(
      "both answers begin with the token {0}: {1} and {2} (pairs.answer: {3} compares no other, and their "
      "difference is always 0); give answers that begin differently",
      pieces({clean.front()}), pieces(clean), pieces(patch),
      options_.answer == Answer::alone ? "alone" : "first-token");
}

/// The tokens of an answer after both prompts.
std::string PairJudge::encode_answer(const TokenPair& pair, const std::string& answer, Ids& tokens) const {
  const PromptPair& text = pair.text;
  if (options_.answer == Answer::alone) {
    tokens = tokenizer_.encode(answer, SpecialTokens::omit);
    if (tokens.empty()) return fmt::format("the answer {} has no tokens; give it a text", in_quotes(answer));
    return blank_start(answer, tokens);
  }
  if (std::string reason = answer_after(text.clean_prefix, pair.clean, answer, tokens); !reason.empty()) return reason;
  if (!text.patch_prefix) return {};
  Ids others;
  if (std::string reason = answer_after(*text.patch_prefix, pair.counterfactual, answer, others); !reason.empty()) {
    return reason;
  }
  if (others.front() == tokens.front()) return {};
  return fmt::format(
      "the answer {} is token {} after the clean prompt but {} after the counterfactual; end both prompts "
      "alike",
      in_quotes(answer), tokens.front(), others.front());
}

std::string PairJudge::answer_after(std::string_view prompt, const Ids& ids, const std::string& answer,
                                    Ids& tokens) const {
  const Ids joined = tokenizer_.encode(std::string(prompt) + answer, SpecialTokens::add);
  if (!begins_with(joined, ids) || joined.size() == ids.size()) return merge_reason(prompt, answer);
  tokens.assign(joined.begin() + static_cast<std::ptrdiff_t>(ids.size()), joined.end());
  if (tokens.size() == 1) return {};
  if (options_.answer == Answer::first_token) return blank_start(answer, tokens);
  const std::string blank = blank_start(answer, tokens);
  return fmt::format("the answer {} is {} tokens after {} (one is needed): {}; {}", in_quotes(answer), tokens.size(),
                     in_quotes(prompt), pieces(tokens),
                     with_space(prompt, ids, answer) +
                         (blank.empty() ? "choose a shorter answer, or compare the first token of each answer "
                                          "(pairs.answer: first-token)"
                                        : "choose a shorter answer, or write both without the space in front (as first "
                                          "token it would be compared alone)"));
}

std::string PairJudge::blank_start(const std::string& answer, const Ids& tokens) const {
  if (tokens.size() == 1 || !is_blank(tokenizer_.text_of(tokens.front()))) return {};
  return fmt::format(
      "the answer {} begins with a space that is a token by itself: {} (it alone would be compared); write both "
      "answers "
      "without the space in front",
      in_quotes(answer), pieces(tokens));
}

std::string PairJudge::with_space(std::string_view prompt, const Ids& ids, const std::string& answer) const {
  const std::string spaced = " " + answer;
  if (spacing_between(prompt, spaced) == Spacing::doubled || answer.starts_with(' ')) return {};
  const Ids joined = tokenizer_.encode(std::string(prompt) + spaced, SpecialTokens::add);
  if (!begins_with(joined, ids) || joined.size() != ids.size() + 1) return {};
  return fmt::format("with a space in front, {}, it is one token; or else ", in_quotes(spaced));
}

std::string PairJudge::outside_vocabulary(const TokenPair& pair) const {
  if (options_.vocabulary <= 0) return {};
  Ids all = pair.clean;
  all.insert(all.end(), pair.counterfactual.begin(), pair.counterfactual.end());
  all.push_back(pair.clean_answer);
  all.push_back(pair.patch_answer);
  const std::int64_t largest = *std::max_element(all.begin(), all.end());
  if (largest < options_.vocabulary) return {};
  return fmt::format(
      "token {} ({}) is outside the model's vocabulary of {}; use the tokenizer.json that belongs to the model",
      largest, in_quotes(tokenizer_.text_of(largest)), options_.vocabulary);
}

std::string PairJudge::pieces(const Ids& ids) const {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(ids.size(), most); ++i) {
    text += (i == 0 ? "" : "|") + in_quotes(tokenizer_.text_of(ids[i]));
  }
  if (ids.size() > most) text += fmt::format("|… ({} more)", ids.size() - most);
  return text.empty() ? "nothing" : text;
}

void PairJudge::refuse_doubled_bos(const PromptPair& text, const Ids& ids) const {
  const Ids& prefix = tokenizer_.prefix_ids();
  if (ids.size() <= prefix.size()) return;
  const std::int64_t first = ids[prefix.size()];
  if (std::find(prefix.begin(), prefix.end(), first) == prefix.end()) return;
  throw UserError(
      fmt::format("{}:{}", text.file, text.line),
      fmt::format("the prompt begins with {}, which the tokenizer adds anyway (the model would see it twice); take "
                  "it out of the prompts of this file, or set pairs.bos: omit (chat templates write it themselves)",
                  in_quotes(tokenizer_.text_of(first))));
}

std::string length_reason(const TokenPair& pair, std::int64_t length) {
  if (pair.length() == length) return {};
  return fmt::format(
      "{} tokens where this run takes {} (positions: keep); leave the pair out, choose it by pairs.length, or "
      "use positions: sum",
      pair.length(), length);
}

}  // namespace tributary::detail::pairs
