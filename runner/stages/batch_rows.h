// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Rows in one network call, as the worker threads of a rank share them: planned before a run, and halved where memory
// runs out after all.
#pragma once

#include <atomic>
#include <cstdint>

namespace tributary {

class BatchRows {
 public:
  explicit BatchRows(std::int64_t rows) : rows_(rows) {}
  [[nodiscard]] std::int64_t get() const { return rows_; }
  /// Halves from what a caller ran out with, so that several that do so together halve once. False when it was one row.
  bool halve(std::int64_t from);
  [[nodiscard]] std::int64_t halvings() const { return halvings_; }

 private:
  std::atomic<std::int64_t> rows_;
  std::atomic<std::int64_t> halvings_{0};
};

}  // namespace tributary
