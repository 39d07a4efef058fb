// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Lets tests/parity/test_tokenizer.py ask our tokenizer: one JSON request a line on stdin, one answer a line on stdout.
//   {"text": "…", "specials": true}  →  [1, 2, 3]; with "bos": "add" or "omit", the tokenizer that does so
//   {"token": 5}                     →  "its text"
//   {"prefix": true}                 →  [1]
//   {"size": true}                   →  49152
//   {"notes": true}                  →  ["…"]
// The argument is a tokenizer.json, or a model's folder.
#include <exception>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "io/tokenizer.h"

namespace {

nlohmann::json answer(const tributary::Tokenizer& tokenizer, const nlohmann::json& request) {
  if (request.contains("token")) return tokenizer.text_of(request["token"].get<std::int64_t>());
  if (request.contains("prefix")) return tokenizer.prefix_ids();
  if (request.contains("size")) return tokenizer.size();
  if (request.contains("notes")) return tokenizer.notes();
  const auto specials =
      request["specials"].get<bool>() ? tributary::SpecialTokens::add : tributary::SpecialTokens::omit;
  const std::string bos = request.value("bos", "file");
  const tributary::Bos wanted = bos == "add"    ? tributary::Bos::add
                                : bos == "omit" ? tributary::Bos::omit
                                                : tributary::Bos::file;
  return tokenizer.with_bos(wanted).encode(request["text"].get<std::string>(), specials);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenizer_driver TOKENIZER.json|FOLDER\n";
    return 2;
  }
  try {
    const std::filesystem::path path = argv[1];
    const auto tokenizer =
        std::filesystem::is_directory(path) ? tributary::Tokenizer::of_model(path) : tributary::Tokenizer::load(path);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << answer(tokenizer, nlohmann::json::parse(line)) << '\n';
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
