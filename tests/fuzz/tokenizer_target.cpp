// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// tokenizer.json, and texts that a tokenizer makes ids of.
#include <algorithm>
#include <string>
#include <vector>

#include "common/text.h"
#include "io/tokenizer.h"
#include "tests/fuzz/targets.h"

namespace tributary::fuzz {

void read_and_use_tokenizer(Bytes bytes) {
  static const std::vector<std::string> texts = {
      "",           "The cats",         " a  b\n\n c\t", "don't 123 4567",      "\u00fcber na\u0131ve \u6f22\u5b57",
      "<bos>x</s>", "\U0001F600\u200d", "e\u0301\u0301", std::string(200, 'a'), "\r\n \u00a0\u3000."};
  const Tokenizer tokenizer = Tokenizer::load(file_of(bytes));
  constexpr std::int64_t some = 64;
  for (std::int64_t id = 0; id < std::min(tokenizer.size(), some); ++id) {
    require(!first_invalid_utf8(tokenizer.text_of(id)), "texts of tokens are UTF-8");
  }
  for (const std::string& text : texts) {
    for (const std::int64_t id : tokenizer.encode(text, SpecialTokens::add)) {
      require(id >= 0 && id <= 0xFFFFFFFF, "ids are those of tokens");
      require(!first_invalid_utf8(tokenizer.text_of(id)), "texts of tokens are UTF-8");
    }
  }
}

}  // namespace tributary::fuzz
