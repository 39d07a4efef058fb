// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where a pattern cuts a text, and to which side each match goes.
#pragma once

#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/pattern.h"

namespace tributary::detail {

/// The pattern of a tokenizer.json: {"Regex": "…"} or {"String": "…"}.
Pattern pattern_of(const JsonView& description);

/// What becomes of the matches.
enum class SplitBehavior {
  removed,               //!< dropped
  isolated,              //!< a piece each
  merged_with_previous,  //!< the end of the piece before
  merged_with_next,      //!< the beginning of the piece behind
  contiguous             //!< neighbouring matches make one piece
};

/// Whether the pattern describes the separators or what lies between them.
enum class SplitOn { matches, gaps };

struct SplitRule {
  Pattern pattern;
  SplitBehavior behavior;
  SplitOn on;

  /// The pieces of valid UTF-8 text, in order, none empty. They view `text`.
  [[nodiscard]] std::vector<std::string_view> pieces(std::string_view text) const;
};

}  // namespace tributary::detail
