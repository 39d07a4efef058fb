// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/pretokenizer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/errors.h"
#include "io/detail/tokenizer/byte_level.h"

namespace tributary::detail::tokenizer {
namespace {

/// GPT-2's words: contractions, then letters, numbers or other marks each with at most one space before
/// them, then spaces, of which the last one before a word is left to that word.
constexpr const char* kGpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Numbers as the Rust standard library counts them: Unicode 17, one version ahead of the patterns.
constexpr const char* kRustNumber = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

constexpr std::pair<const char*, SplitBehavior> kBehaviors[] = {
    {"Removed", SplitBehavior::removed},
    {"Isolated", SplitBehavior::isolated},
    {"MergedWithPrevious", SplitBehavior::merged_with_previous},
    {"MergedWithNext", SplitBehavior::merged_with_next},
    {"Contiguous", SplitBehavior::contiguous}};

SplitBehavior behavior_of(const JsonView& description) {
  const std::string name = description.text();
  std::vector<std::string> known;
  for (const auto& [known_name, behavior] : kBehaviors) {
    if (name == known_name) return behavior;
    known.emplace_back(known_name);
  }
  description.refuse_unknown("split behaviour", name, known);
}

SplitRule split_rule_of(const JsonView& description) {
  return {pattern_of(description.at("pattern")), behavior_of(description.at("behavior")),
          description.at("invert").flag() ? SplitOn::gaps : SplitOn::matches};
}

SplitRule digits_rule_of(const JsonView& description) {
  const bool individual = description.at("individual_digits").flag();
  return {Pattern::from_regex(kRustNumber, description.file()),
          individual ? SplitBehavior::isolated : SplitBehavior::contiguous, SplitOn::matches};
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonView& description) {
  add_steps(description);
  const bool is_byte_level = std::any_of(steps_.begin(), steps_.end(),
                                         [](const Step& step) { return std::holds_alternative<ByteLevel>(step); });
  if (!is_byte_level) description.refuse("no step is 'ByteLevel', but only byte-level BPE is supported");
}

void PreTokenizer::add_steps(const JsonView& description) {
  const std::string type = description.at("type").text();
  if (type == "Sequence") {
    for (const JsonView& step : description.at("pretokenizers").elements()) add_steps(step);
  } else if (type == "ByteLevel") {
    ByteLevel step{description.at("add_prefix_space").flag() ? ByteLevel::Prefix::space : ByteLevel::Prefix::none, {}};
    if (description.flag("use_regex", true)) {
      step.rule =
          SplitRule{Pattern::from_regex(kGpt2Words, description.file()), SplitBehavior::isolated, SplitOn::matches};
    }
    steps_.emplace_back(std::move(step));
  } else if (type == "Split") {
    steps_.emplace_back(split_rule_of(description));
  } else if (type == "Digits") {
    steps_.emplace_back(digits_rule_of(description));
  } else if (type == "Punctuation") {
    const auto behavior = description.find("behavior");
    steps_.emplace_back(Punctuation{find_punctuation(), behavior ? behavior_of(*behavior) : SplitBehavior::isolated});
  } else {
    description.refuse_unknown("pre-tokeniser", type, {"ByteLevel", "Digits", "Punctuation", "Sequence", "Split"});
  }
}

std::vector<std::string> PreTokenizer::apply(const SplitRule& rule, const std::string& piece) {
  const std::vector<std::string_view> pieces = rule.pieces(piece);
  return {pieces.begin(), pieces.end()};
}

std::vector<std::string> PreTokenizer::apply(const Punctuation& rule, const std::string& piece) {
  const std::vector<std::string_view> pieces = pieces_of(piece, rule.find(piece), rule.behavior);
  return {pieces.begin(), pieces.end()};
}

std::vector<std::string> PreTokenizer::apply(const ByteLevel& step, const std::string& piece) {
  const bool needs_space = step.prefix == ByteLevel::Prefix::space && !piece.starts_with(' ');
  const std::string prefixed = needs_space ? " " + piece : piece;
  std::vector<std::string> words = step.rule ? apply(*step.rule, prefixed) : std::vector<std::string>{prefixed};
  for (std::string& word : words) word = to_byte_level(word);
  return words;
}

std::vector<std::string> PreTokenizer::words(std::string_view text) const {
  std::vector<std::string> pieces;
  if (!text.empty()) pieces.emplace_back(text);
  for (const Step& step : steps_) {
    std::vector<std::string> smaller;
    for (const std::string& piece : pieces) {
      auto parts = std::visit([&piece](const auto& rule) { return apply(rule, piece); }, step);
      std::move(parts.begin(), parts.end(), std::back_inserter(smaller));
    }
    pieces = std::move(smaller);
  }
  return pieces;
}

}  // namespace tributary::detail::tokenizer
