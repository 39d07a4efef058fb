// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Lets tests/parity/test_safetensors.py ask our reader of weights: the path of a file a line on stdin, one answer a
// line on stdout. An answer is a list of [name, type, shape, place, bytes] of the weights in the order of their names,
// place in bytes from the file's begin, or {"error": "…"} with what a user is told.
#include <cstddef>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "common/errors.h"
#include "io/detail/checkpoint/safetensors.h"

namespace {

using nlohmann::json;
using tributary::detail::checkpoint::read_safetensors;

json answer(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto content = read_safetensors(std::as_bytes(std::span(bytes)), "file");
  json tensors = json::array();
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes.data());
  for (const auto& [name, tensor] : content.tensors) {
    tensors.push_back({name, name_of(tensor.type), tensor.shape, tensor.data - begin, tensor.bytes});
  }
  return tensors;
}

}  // namespace

int main() {
  for (std::string path; std::getline(std::cin, path);) {
    try {
      std::cout << answer(path) << std::endl;
    } catch (const tributary::UserError& error) {
      std::cout << json{{"error", error.what()}} << std::endl;
    }
  }
  return 0;
}
