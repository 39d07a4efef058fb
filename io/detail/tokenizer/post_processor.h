// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The post-processor of a tokenizer.json, as far as it changes ids: it puts special tokens around a single text.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "io/detail/base/json_view.h"

namespace tributary::detail::tokenizer {

struct PostProcessor {
  std::vector<std::int64_t> prefix;
  std::vector<std::int64_t> suffix;
};

/// Without a description nothing is put around the text. Throws UserError for a kind it does not know.
PostProcessor read_post_processor(const std::optional<JsonView>& description);

}  // namespace tributary::detail::tokenizer
