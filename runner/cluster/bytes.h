// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Typed reading and writing of byte strings, little-endian, every length checked on reading.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/errors.h"

namespace tributary {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

template <class T>
concept Number = std::is_arithmetic_v<T>;

/// Takes bytes piece by piece, in order.
using PutBytes = std::function<void(std::string_view bytes)>;

/// Collects what is put, or passes it on at once.
class ByteWriter {
 public:
  ByteWriter() = default;                                        //!< collects, for take()
  explicit ByteWriter(const PutBytes& put_on) : on_(&put_on) {}  //!< must outlive the writer

  template <Number T>
  void put(T value) {
    append(&value, sizeof value);
  }
  template <Number T>
  void put(std::span<const T> values) {
    put(static_cast<std::uint64_t>(values.size()));
    append(values.data(), values.size() * sizeof(T));
  }
  void put(std::string_view text) {
    put(static_cast<std::uint64_t>(text.size()));
    append(text.data(), text.size());
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void append(const void* data, std::size_t size) {
    if (on_ != nullptr) return (*on_)({static_cast<const char*>(data), size});
    const auto* bytes = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
  }
  const PutBytes* on_ = nullptr;
  std::vector<std::byte> bytes_;
};

/// Throws RuntimeFailure when the bytes do not hold what is asked for.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <Number T>
  T get() {
    T value{};
    copy(&value, 1);
    return value;
  }
  template <Number T>
  std::vector<T> get_vector() {
    std::vector<T> values(get_size(sizeof(T)));
    copy(values.data(), values.size());
    return values;
  }
  std::string get_string() {
    std::string text(get_size(1), '\0');
    copy(text.data(), text.size());
    return text;
  }
  /// A count of things that take at least `bytes_each` bytes each.
  std::size_t get_size(std::size_t bytes_each) {
    const auto size = get<std::uint64_t>();
    require(size <= bytes_.size() / bytes_each);
    return size;
  }
  void expect_end() const { require(bytes_.empty()); }
  /// What has not been read.
  [[nodiscard]] std::span<const std::byte> rest() const { return bytes_; }

 private:
  template <class T>
  void copy(T* target, std::size_t count) {
    const std::size_t size = count * sizeof(T);
    require(size <= bytes_.size());
    if (size > 0) std::memcpy(target, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  static void require(bool sound) {
    if (!sound) throw RuntimeFailure("stored bytes are damaged (their lengths do not fit); compute them again");
  }
  std::span<const std::byte> bytes_;
};

}  // namespace tributary
