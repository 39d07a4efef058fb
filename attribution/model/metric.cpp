// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/metric.h"

#include <algorithm>
#include <set>
#include <utility>

#include "attribution/model/tensors.h"
#include "common/errors.h"

namespace tributary {

ReadPositions::ReadPositions(std::vector<std::int64_t> from_end) : from_end_(std::move(from_end)) {
  TRIBUTARY_EXPECT(!from_end_.empty(), "a metric reads some position");
  TRIBUTARY_EXPECT(*std::min_element(from_end_.begin(), from_end_.end()) >= 0, "positions are counted from the end");
  TRIBUTARY_EXPECT(std::set(from_end_.begin(), from_end_.end()).size() == from_end_.size(), "each position once");
}

std::int64_t ReadPositions::kept() const { return 1 + *std::max_element(from_end_.begin(), from_end_.end()); }

at::Tensor ReadPositions::rows_of(const at::Tensor& last) const {
  std::vector<at::Tensor> rows;  // a read position each [sequence, width]
  for (const std::int64_t distance : from_end_) rows.push_back(last.select(1, last.size(1) - 1 - distance));
  return rows.size() == 1 ? rows.front() : at::stack(rows, 1).flatten(0, 1);
}

at::Tensor ReadPositions::among_kept(const at::Tensor& rows) const {
  const at::Tensor by_sequence = rows.unflatten(0, {-1, count()});  // [sequence, read, width]
  at::Tensor all = at::zeros({by_sequence.size(0), kept(), rows.size(1)}, rows.options());
  for (std::int64_t read = 0; read < count(); ++read) {
    const std::int64_t place = kept() - 1 - from_end_[static_cast<std::size_t>(read)];
    all.select(1, place).copy_(by_sequence.select(1, read));
  }
  return all;
}

MetricTokens MetricTokens::narrow(std::int64_t first, std::int64_t count) const {
  return {tokens.narrow(0, first, count), coefficients};
}

LogitDirections LogitDirections::select(const at::Tensor& sequences) const {
  return {reads, at::index_select(rows, 0, sequences), coefficients};
}

LogitDirections LogitDirections::narrow(std::int64_t first, std::int64_t count) const {
  return {reads, rows.narrow(0, first, count), coefficients};
}

LogitDirections LogitDirections::repeat(std::int64_t times) const {
  std::vector<std::int64_t> repeats(static_cast<std::size_t>(rows.dim()), 1);
  repeats.front() = times;
  return {reads, rows.repeat(repeats), coefficients};
}

}  // namespace tributary
