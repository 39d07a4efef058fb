// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Files of pairs over a hand-made vocabulary, and what preparing them makes of them.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/pairs.h"
#include "tests/io/temporary_folder.h"
#include "tests/io/tiny_tokenizer.h"

namespace tributary {

inline std::string line(const std::string& clean, const std::string& patch, const std::string& y,
                        const std::string& other) {
  return nlohmann::json{{"clean_prefix", clean}, {"patch_prefix", patch}, {"clean_answer", y}, {"patch_answer", other}}
             .dump() +
         "\n";
}

class PreparePairsTest : public TemporaryFolder {
 protected:
  [[nodiscard]] Tokenizer tokenizer(TinyVocabulary::Template post_processor = TinyVocabulary::Template::none) const {
    return Tokenizer::load(write("tokenizer.json", vocabulary_.json(post_processor)));
  }
  /// Options for a file with this content, taken in file order.
  [[nodiscard]] PairOptions in_order(const std::string& content) const {
    PairOptions options;
    options.train_file = write("train.jsonl", content);
    return options;
  }
  [[nodiscard]] PairOptions one_file(const std::string& content) const {
    PairOptions options;
    options.file = write("all.jsonl", content);
    return options;
  }
  /// Why the second pair of a file is left out, the first one being good.
  [[nodiscard]] std::string reason_for(const std::string& second, PairOptions options = {}) const {
    options.train_file = write("train.jsonl", good_ + second);
    options.unfit = Unfit::skip;
    const PairSet set = prepare_pairs(options, tokenizer());
    if (set.train.size() != 1 || set.skipped.size() != 1 || set.skipped[0].line != 2) return "not skipped";
    return set.skipped[0].reason;
  }
  [[nodiscard]] std::string refusal_of(const PairOptions& options) const {
    return message_of([&] { prepare_pairs(options, tokenizer()); });
  }

  TinyVocabulary vocabulary_;
  std::string good_ = line("The cat", "The cats", " is", " are");
};

inline std::vector<std::string> clean_prompts(const std::vector<TokenPair>& pairs) {
  std::vector<std::string> prompts;
  for (const TokenPair& pair : pairs) prompts.push_back(pair.text.clean_prefix);
  return prompts;
}

}  // namespace tributary
