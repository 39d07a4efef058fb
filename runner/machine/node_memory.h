// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Memory that the ranks of a node share: one of them writes it, all read it. It has no name in any file system, so a
// killed run leaves nothing behind.
#pragma once

#include <cstddef>
#include <memory>

#include "runner/cluster/comm.h"

namespace tributary {

class NodeMemory {
 public:
  /// Collective. Ranks that cannot reach the memory of their node's first rank (another container, say) get memory of
  /// their own, to write themselves. Throws RuntimeFailure when there is not enough memory.
  NodeMemory(const Communicator& comm, std::size_t bytes);
  ~NodeMemory();
  NodeMemory(const NodeMemory&) = delete;
  NodeMemory& operator=(const NodeMemory&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return bytes_; }
  /// Whether this rank is the one to write.
  [[nodiscard]] bool writes() const { return writes_; }

 private:
  std::size_t bytes_;
  std::byte* data_ = nullptr;
  bool writes_ = true;
};

}  // namespace tributary
