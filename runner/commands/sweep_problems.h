// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with the runs of a sweep, each mistake once: a slip in a file of a hundred runs is one slip.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/errors.h"

namespace tributary {

class SweepProblems {
 public:
  /// Of a sweep of so many runs.
  explicit SweepProblems(std::size_t runs) : runs_(runs) {}

  /// Adds what is wrong with the run of this label (Settings::label()).
  void add(const UserError& error, const std::string& run);
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  /// Throws UserError with every mistake in the order met; with the runs that have it, unless all have.
  void throw_if_any() const;

 private:
  struct Entry {
    Problem problem;
    std::vector<std::string> runs;
  };
  std::size_t runs_;
  std::vector<Entry> entries_;
};

}  // namespace tributary
