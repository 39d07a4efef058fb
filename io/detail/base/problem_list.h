// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Problems gathered over a whole file and thrown together, so that one run shows them all.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/errors.h"

namespace tributary::detail {

/// Keeps the first 50 and counts the rest: a file of the wrong kind has one problem a line.
class ProblemList {
 public:
  void add(std::string where, std::string text);
  void add_all(const UserError& error);
  [[nodiscard]] bool empty() const { return problems_.empty(); }
  /// Throws UserError when there is anything to report.
  void throw_if_any() const;

 private:
  std::vector<Problem> problems_;
  std::size_t unlisted_ = 0;
};

}  // namespace tributary::detail
