// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Where something stands in a text, as people count: lines and characters from 1.
#pragma once

#include <compare>
#include <cstddef>
#include <string_view>
#include <vector>

namespace tributary::detail {

/// 1-based line and column, in characters.
struct Place {
  int line = 1;
  int column = 1;
  auto operator<=>(const Place&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 misreads it
};

/// Places in one text; the text must outlive it.
class TextPlaces {
 public:
  explicit TextPlaces(std::string_view text);

  /// Of the character with this 0-based index, which may lie outside: yaml-cpp's positions are such indices, while its
  /// own lines and columns are wrong at the end of a text.
  [[nodiscard]] Place at(int character) const;
  /// Of the character that this byte belongs to.
  [[nodiscard]] Place at_byte(std::size_t offset) const;

 private:
  std::string_view text_;
  std::vector<int> line_starts_{0};
  int characters_ = 0;
};

}  // namespace tributary::detail
