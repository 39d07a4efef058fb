// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The normaliser of a tokenizer.json: what happens to the text before it is split.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"

namespace tributary::detail::tokenizer {

/// A text after normalisation. What comes from its first character, in bytes: Metaspace treats that as the beginning of
/// the text, and nothing where it was taken out.
struct Normalized {
  std::string text;
  std::size_t beginning;
};

/// Immutable; may be used from several threads at once.
class Normalizer {
 public:
  /// Without a description texts stay as they are. Throws UserError for a kind it does not know.
  explicit Normalizer(const std::optional<JsonView>& description);

  /// `text` must be valid UTF-8.
  [[nodiscard]] Normalized normalize(std::string_view text) const;

 private:
  using Step = std::function<Normalized(const Normalized&)>;

  void add_steps(const JsonView& description);

  std::vector<Step> steps_;
};

}  // namespace tributary::detail::tokenizer
