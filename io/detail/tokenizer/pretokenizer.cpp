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

PreTokenizer::PreTokenizer(const std::optional<JsonView>& description) {
  if (description) add_steps(*description);
}

Words PreTokenizer::alphabet() const {
  const bool in_bytes = std::any_of(steps_.begin(), steps_.end(),
                                    [](const Step& step) { return std::holds_alternative<ByteLevel>(step); });
  return in_bytes ? Words::bytes : Words::characters;
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
    steps_.emplace_back(
        CharacterSplit{find_punctuation(), behavior ? behavior_of(*behavior) : SplitBehavior::isolated});
  } else if (type == "WhitespaceSplit") {
    steps_.emplace_back(CharacterSplit{find_white_space(), SplitBehavior::removed});
  } else if (type == "Metaspace") {
    steps_.emplace_back(Metaspace(description));
  } else {
    description.refuse_unknown(
        "pre-tokeniser", type,
        {"ByteLevel", "Digits", "Metaspace", "Punctuation", "Sequence", "Split", "WhitespaceSplit"});
  }
}

std::vector<Piece> PreTokenizer::apply(const SplitRule& rule, const Piece& piece) {
  return pieces_of(piece, rule.pieces(piece.text));
}

std::vector<Piece> PreTokenizer::apply(const CharacterSplit& rule, const Piece& piece) {
  return pieces_of(piece, pieces_of(piece.text, rule.find(piece.text), rule.behavior));
}

std::vector<Piece> PreTokenizer::apply(const ByteLevel& step, const Piece& piece) {
  const bool needs_space = step.prefix == ByteLevel::Prefix::space && !piece.text.starts_with(' ');
  const Piece prefixed{needs_space ? " " + piece.text : piece.text, piece.beginning};
  std::vector<Piece> words = step.rule ? apply(*step.rule, prefixed) : std::vector{prefixed};
  for (Piece& word : words) word.text = to_byte_level(word.text);
  return words;
}

std::vector<std::string> PreTokenizer::words(std::string_view text, std::size_t beginning) const {
  std::vector<Piece> pieces;
  if (!text.empty()) pieces.push_back({std::string(text), beginning});
  for (const Step& step : steps_) {
    std::vector<Piece> smaller;
    for (const Piece& piece : pieces) {
      auto parts = std::visit([&piece](const auto& rule) { return apply(rule, piece); }, step);
      std::move(parts.begin(), parts.end(), std::back_inserter(smaller));
    }
    pieces = std::move(smaller);
  }
  std::vector<std::string> words;
  words.reserve(pieces.size());
  for (Piece& piece : pieces) words.push_back(std::move(piece.text));
  return words;
}

}  // namespace tributary::detail::tokenizer
