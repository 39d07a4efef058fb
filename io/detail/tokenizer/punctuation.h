// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The characters that the pre-tokenisers "Punctuation" and "WhitespaceSplit" cut a text at.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "io/detail/tokenizer/pattern.h"

namespace tributary::detail::tokenizer {

/// Cuts valid UTF-8 text into matches and gaps, in order, that cover it.
using FindSpans = std::function<std::vector<Span>(std::string_view text)>;

/// Each mark is a match of its own. Throws RuntimeFailure where ICU has no data.
FindSpans find_punctuation();

/// Each character of white space, as Unicode defines it, is a match of its own.
FindSpans find_white_space();

}  // namespace tributary::detail::tokenizer
