// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/split_rule.h"

#include <algorithm>
#include <optional>

namespace tributary::detail::tokenizer {
namespace {

/// Joins each match to the piece before it in the order given, unless that piece ends in a match.
std::vector<Span> merge_matches(const std::vector<Span>& spans) {
  std::vector<Span> merged;
  Span::Kind last = Span::Kind::gap;
  for (const Span& span : spans) {
    if (span.kind == Span::Kind::match && last == Span::Kind::gap && !merged.empty()) {
      merged.back().begin = std::min(merged.back().begin, span.begin);
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
    last = span.kind;
  }
  return merged;
}

std::vector<Span> merge_neighbours_of_one_kind(const std::vector<Span>& spans) {
  std::vector<Span> merged;
  for (const Span& span : spans) {
    if (!merged.empty() && merged.back().kind == span.kind) {
      merged.back().end = span.end;
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

std::vector<Span> apply(SplitBehavior behavior, std::vector<Span> spans) {
  switch (behavior) {
    case SplitBehavior::isolated:
      return spans;
    case SplitBehavior::contiguous:
      return merge_neighbours_of_one_kind(spans);
    case SplitBehavior::merged_with_previous:
      return merge_matches(spans);
    case SplitBehavior::removed:
      std::erase_if(spans, [](const Span& span) { return span.kind == Span::Kind::match; });
      return spans;
    case SplitBehavior::merged_with_next:
      std::reverse(spans.begin(), spans.end());
      spans = merge_matches(spans);
      std::reverse(spans.begin(), spans.end());
      return spans;
  }
  return spans;
}

}  // namespace

std::vector<std::string_view> pieces_of(std::string_view text, std::vector<Span> spans, SplitBehavior behavior) {
  std::vector<std::string_view> pieces;
  for (const Span& span : apply(behavior, std::move(spans))) {
    if (span.begin < span.end) pieces.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return pieces;
}

Pattern pattern_of(const JsonView& description) {
  if (const auto regex = description.find("Regex")) return Pattern::from_regex(regex->text(), regex->file());
  if (const auto text = description.find("String")) return Pattern::from_text(text->text(), text->file());
  description.refuse("a pattern is {\"Regex\": …} or {\"String\": …}; correct the file");
}

std::vector<std::string_view> SplitRule::pieces(std::string_view text) const {
  std::vector<Span> spans = pattern.spans(text);
  if (on == SplitOn::gaps) {
    for (Span& span : spans) span.kind = span.kind == Span::Kind::match ? Span::Kind::gap : Span::Kind::match;
  }
  return pieces_of(text, std::move(spans), behavior);
}

}  // namespace tributary::detail::tokenizer
