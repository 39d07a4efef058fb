// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The decoder of a tokenizer.json, as far as it says how a token reads inside a text.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/detail/base/json_view.h"
#include "io/detail/tokenizer/model.h"

namespace tributary::detail::tokenizer {

/// Immutable; may be used from several threads at once.
class Decoder {
 public:
  /// Without a description tokens of bytes read as their bytes, others as they are written. Throws UserError for a kind
  /// it does not know.
  Decoder(const std::optional<JsonView>& description, Words words);

  /// A token as it reads inside a text: what happens at a whole text's ends (Strip behind Fuse) does not happen to it.
  /// Bytes that are not whole UTF-8 characters are replaced by U+FFFD.
  [[nodiscard]] std::string text_of(std::string_view token) const;

 private:
  using Step = std::function<std::string(const std::string&)>;

  void add_steps(const JsonView& description);

  std::vector<Step> steps_;
  bool whole_text_ = false;  //!< further steps are for the text, no longer for each token
};

}  // namespace tributary::detail::tokenizer
