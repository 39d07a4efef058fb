// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/stages/numbers.h"

#include "attribution/model/tensors.h"

#include <algorithm>

#include "common/errors.h"

namespace tributary {

void append_numbers(std::vector<double>& numbers, const at::Tensor& tensor) {
  if (!tensor.defined()) return;
  const at::Tensor flat = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto* data = flat.const_data_ptr<double>();
  numbers.reserve(numbers.size() + static_cast<std::size_t>(flat.numel()));  // tables are large: no more than they take
  numbers.insert(numbers.end(), data, data + flat.numel());
}

std::vector<double> numbers_of(const at::Tensor& tensor) {
  std::vector<double> numbers;
  append_numbers(numbers, tensor);
  return numbers;
}

at::Tensor tensor_of(const std::vector<double>& numbers, at::IntArrayRef shape, at::ScalarType type) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  TRIBUTARY_EXPECT(tensor.numel() == static_cast<std::int64_t>(numbers.size()), "numbers were counted by the plan");
  std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<double>());
  return tensor.to(type);
}

void RowWriter::add(const at::Tensor& rows) {
  numbers_.push_back(rows.defined() ? static_cast<double>(rows.size(1)) : 0);
  append_numbers(numbers_, rows);
}

std::vector<std::vector<double>> split_rows(const std::vector<double>& numbers,
                                            const std::vector<std::int64_t>& pairs) {
  std::vector<std::vector<double>> units(pairs.size());
  if (numbers.empty()) return units;
  for (std::vector<double>& unit : units) unit.push_back(&unit == &units.front() ? numbers.front() : 0);
  for (std::size_t at = 1; at < numbers.size();) {
    const double columns = numbers[at++];
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto count = static_cast<std::size_t>(columns) * static_cast<std::size_t>(pairs[i]);
      TRIBUTARY_EXPECT(at + count <= numbers.size(), "rows are complete");
      const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(at);
      units[i].push_back(columns);
      units[i].insert(units[i].end(), first, first + static_cast<std::ptrdiff_t>(count));
      at += count;
    }
  }
  return units;
}

std::vector<std::vector<double>> RowReader::next() {
  TRIBUTARY_EXPECT(at_ < numbers_.size(), "as many tensors are read as were written");
  const auto columns = static_cast<std::size_t>(numbers_[at_++]);
  std::vector<std::vector<double>> rows;
  if (columns == 0) return rows;
  for (std::int64_t pair = 0; pair < pairs_; ++pair, at_ += columns) {
    TRIBUTARY_EXPECT(at_ + columns <= numbers_.size(), "rows are complete");
    const auto first = numbers_.begin() + static_cast<std::ptrdiff_t>(at_);
    rows.emplace_back(first, first + static_cast<std::ptrdiff_t>(columns));
  }
  return rows;
}

}  // namespace tributary
