// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How tensors travel between ranks and lie in a journal: as plain numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tributary {

/// Appends a tensor's elements as float64 in row-major order; nothing where it is undefined.
void append_numbers(std::vector<double>& numbers, const at::Tensor& tensor);
/// The same as a list of its own.
std::vector<double> numbers_of(const at::Tensor& tensor);
/// The other way round. ContractViolation when the count does not fit the shape.
at::Tensor tensor_of(const std::vector<double>& numbers, at::IntArrayRef shape, at::ScalarType type);

/// A unit's count of operations, then several tensors in one list of numbers, each preceded by its number of columns
/// (0: undefined, and nothing follows).
class RowWriter {
 public:
  explicit RowWriter(double flops) : numbers_{flops} {}
  /// rows [pair, column] or undefined
  void add(const at::Tensor& rows);
  [[nodiscard]] std::vector<double> take() { return std::move(numbers_); }

 private:
  std::vector<double> numbers_;
};

/// What RowWriter wrote for all pairs of several units, unit by unit; pairs: of each. The count is the first unit's.
std::vector<std::vector<double>> split_rows(const std::vector<double>& numbers, const std::vector<std::int64_t>& pairs);

/// Reads what RowWriter wrote for `pairs` pairs.
class RowReader {
 public:
  /// The first `skip` numbers are not rows.
  RowReader(const std::vector<double>& numbers, std::int64_t pairs, std::size_t skip)
      : numbers_(numbers), pairs_(pairs), at_(skip) {}
  /// The next tensor's rows, [pair][column]; empty when it was undefined.
  std::vector<std::vector<double>> next();

 private:
  const std::vector<double>& numbers_;
  std::int64_t pairs_;
  std::size_t at_;
};

}  // namespace tributary
