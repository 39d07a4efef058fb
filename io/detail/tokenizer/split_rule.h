// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where a pattern cuts a text, and to which side each match goes.
#pragma once

#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/pattern.h"

namespace tributary::detail::tokenizer {

/// The pattern of a tokenizer.json: {"Regex": "…"} or {"String": "…"}.
Pattern pattern_of(const JsonView& description);

/// What becomes of the matches.
enum class SplitBehavior {
  removed,               //!< they are dropped
  isolated,              //!< each becomes a piece of its own
  merged_with_previous,  //!< each ends the piece before it
  merged_with_next,      //!< each begins the piece behind it
  contiguous             //!< matches that touch make one piece together
};

/// Whether the pattern describes the separators or what lies between them.
enum class SplitOn { matches, gaps };

/// Pieces of a text that these stretches cover, in order; none is empty, and they point into `text`.
std::vector<std::string_view> pieces_of(std::string_view text, std::vector<Span> spans, SplitBehavior behavior);

struct SplitRule {
  Pattern pattern;
  SplitBehavior behavior;
  SplitOn on;

  /// Cuts valid UTF-8 text into pieces, which are in order, not empty, and point into `text`.
  [[nodiscard]] std::vector<std::string_view> pieces(std::string_view text) const;
};

}  // namespace tributary::detail::tokenizer
