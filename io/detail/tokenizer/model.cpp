// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/tokenizer/model.h"

#include <string>

#include <nlohmann/json.hpp>

#include "io/detail/tokenizer/bpe.h"
#include "io/detail/tokenizer/unigram.h"

namespace tributary::detail::tokenizer {

std::unique_ptr<const Model> read_model(const JsonView& description, Words words) {
  const auto type = description.find("type");
  // The oldest files name no kind; only Unigram's vocabulary is a list.
  const std::string kind = type ? type->text() : description.at("vocab").value().is_array() ? "Unigram" : "BPE";
  if (kind == "BPE") return std::make_unique<const BpeModel>(description, words);
  if (kind == "Unigram") return std::make_unique<const UnigramModel>(description);
  type->refuse_unknown("model", kind, {"BPE", "Unigram"});
}

}  // namespace tributary::detail::tokenizer
