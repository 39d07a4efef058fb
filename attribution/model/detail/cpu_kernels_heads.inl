// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where the queries and keys of an attention lie, for both ways of computing it. Only cpu_kernels.inl may include it.
#pragma once

#include <cstdint>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/cpu_kernels_numbers.inl"

namespace tributary::detail {
namespace {

/// Keys of a sequence: the prefix's, then its own.
template <typename S, typename T>
std::int64_t length_of(const AttentionArguments<S, T>& a) {
  return a.prefix_length + a.suffix;
}

/// The position of a sequence's query, which is the last key that it sees, and the first that it sees.
template <typename S, typename T>
std::int64_t position_of(const AttentionArguments<S, T>& a, std::int64_t query) {
  return length_of(a) - a.queries + query;
}
template <typename S, typename T>
std::int64_t first_key_of(const AttentionArguments<S, T>& a, std::int64_t query) {
  const std::int64_t earliest = a.window == 0 ? 0 : position_of(a, query) + 1 - a.window;
  return earliest < 0 ? 0 : earliest;
}

/// Keys and values of one head of a sequence as rows [key, head] of S.
template <typename S, typename T>
void load_keys(const AttentionArguments<S, T>& a, std::int64_t sequence, std::int64_t kv_head, S* key, S* value) {
  for (std::int64_t k = 0; k < length_of(a); ++k) {
    const bool prefix = k < a.prefix_length;
    const std::int64_t row =
        prefix ? a.pair[sequence] * a.prefix_length + k : sequence * a.suffix + k - a.prefix_length;
    const Rows<const T>& keys = prefix ? a.prefix_key : a.key;
    const Rows<const T>& values = prefix ? a.prefix_value : a.value;
    const T* const from_key = keys.data + row * keys.stride + kv_head * a.head;
    const T* const from_value = values.data + row * values.stride + kv_head * a.head;
    for (std::int64_t i = 0; i < a.head; ++i) key[k * a.head + i] = wide(from_key[i]);
    for (std::int64_t i = 0; i < a.head; ++i) value[k * a.head + i] = wide(from_value[i]);
  }
}

}  // namespace
}  // namespace tributary::detail
