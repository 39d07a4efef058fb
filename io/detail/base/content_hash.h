// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// XXH3-128 over a sequence of fields: the identity of models and data. Every field of variable length is
// preceded by its length, so that moving a byte from one field to the next changes the hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace tributary::detail {

class ContentHash {
 public:
  ContentHash();

  /// 8 bytes, little-endian.
  void add(std::int64_t number);
  /// The length, then the bytes.
  void add(std::string_view text);
  /// Some of the bytes, after a length that was added before them.
  void add_part(const std::byte* data, std::size_t bytes);

  /// 32 hex digits, the high half first (as `xxhsum -H2` prints).
  [[nodiscard]] std::string hex() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace tributary::detail
