// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One file of weights.
#include <cstring>
#include <vector>

#include "io/detail/checkpoint/safetensors.h"
#include "tests/fuzz/targets.h"

namespace tributary::fuzz {

void read_safetensors_file(Bytes bytes) {
  const auto content = detail::checkpoint::read_safetensors(std::as_bytes(bytes), "model.safetensors");
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes.data());
  for (const auto& [name, tensor] : content.tensors) {
    require(tensor.data >= begin && tensor.data + tensor.bytes <= begin + bytes.size(), "tensors lie in the file");
    std::size_t expected = size_of(tensor.type);
    for (const std::int64_t extent : tensor.shape) expected *= static_cast<std::size_t>(extent);
    require(expected == tensor.bytes, "a tensor has the bytes of its shape");
    std::vector<std::byte> copy(tensor.bytes);
    if (!copy.empty()) std::memcpy(copy.data(), tensor.data, tensor.bytes);
  }
}

}  // namespace tributary::fuzz
