// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "io/detail/checkpoint/tensor_hash.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "io/detail/base/mapped_file.h"

namespace tributary::detail::checkpoint {
namespace {

/// Bytes of a file that lie in memory while it is hashed.
constexpr std::size_t hashed_at_once = 16 << 20;

}  // namespace

void add_tensor(ContentHash& content, const std::string& name, const StoredTensor& tensor, Pages pages) {
  content.add(name);
  content.add(name_of(tensor.type));
  content.add(static_cast<std::int64_t>(tensor.shape.size()));
  for (const std::int64_t extent : tensor.shape) content.add(extent);
  // Tensors are hashed by name, not in the order of the file. Without this advice the system would take the jumps for
  // random access and begin each tensor with small reads.
  prefetch(tensor.data, tensor.bytes);
  content.add(static_cast<std::int64_t>(tensor.bytes));
  for (std::size_t begin = 0; begin < tensor.bytes; begin += hashed_at_once) {  // an embedding is large
    const std::size_t bytes = std::min(hashed_at_once, tensor.bytes - begin);
    content.add_part(tensor.data + begin, bytes);
    if (pages == Pages::release) release(tensor.data + begin, bytes);
  }
}

}  // namespace tributary::detail::checkpoint
