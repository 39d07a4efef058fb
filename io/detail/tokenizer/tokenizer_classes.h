// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Classes of transformers 5 that do not take a tokenizer.json as it is, and the tokens that they name themselves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/detail/tokenizer/model.h"

namespace tributary::detail::tokenizer {

/// The class that is built anew from the vocabulary and the merges, with a normaliser and a pre-tokeniser of its own;
/// empty: tokenizer.json is taken as it is. declared: the class that the folder names, without "Fast"; may be empty.
std::string rebuilt_class(const std::string& model_type, const std::string& declared, Words words);

/// A token that a class names where the folder says nothing of its key, or, without a key, always.
struct ClassToken {
  std::string key, content;
};

std::vector<ClassToken> tokens_of_class(std::string_view tokenizer_class);

}  // namespace tributary::detail::tokenizer
