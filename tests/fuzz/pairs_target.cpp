// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Prompt pairs, read and judged: a byte of options, then the file.
#include <string>

#include "io/pairs.h"
#include "io/tokenizer.h"
#include "tests/fuzz/targets.h"
#include "tests/io/tiny_tokenizer.h"

namespace tributary::fuzz {
namespace {

Tokenizer tiny_tokenizer() {
  const std::string json = TinyVocabulary().json(TinyVocabulary::Template::bos_first);
  return Tokenizer::load(file_of({reinterpret_cast<const std::uint8_t*>(json.data()), json.size()}));
}

}  // namespace

void read_and_judge_pairs(Bytes bytes) {
  static const Tokenizer tokenizer = tiny_tokenizer();
  if (bytes.empty()) return;
  const auto chosen = [&bytes](unsigned bit) { return (bytes[0] >> bit & 1U) != 0; };
  PairOptions options;
  options.unfit = chosen(0) ? Unfit::skip : Unfit::refuse;
  options.overlap = chosen(1) ? Overlap::allow : Overlap::refuse;
  options.answer = chosen(2) ? Answer::first_token : Answer::whole;
  options.one_length = chosen(3);
  options.counterfactual = chosen(4) ? Needs::it : Needs::nothing;
  options.patch_answer = chosen(5) ? Needs::it : Needs::nothing;
  options.vocabulary = chosen(6) ? 100 : 0;
  options.max_length = 64;
  (chosen(7) ? options.train_file : options.file) = file_of(bytes.subspan(1));
  if (!chosen(7)) options.test = 1;
  const PairSet pairs = prepare_pairs(options, tokenizer);
  for (const TokenPair& pair : pairs.train) {
    require(pair.counterfactual.empty() || pair.counterfactual.size() == pair.clean.size(), "prompts are equally long");
    require(pair.clean_answer >= 0 && pair.length() <= options.max_length, "pairs fit");
  }
}

}  // namespace tributary::fuzz
