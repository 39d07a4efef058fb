// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Collects what does not fit about the keys of a run, so that the user reads all of it at once.
#pragma once

#include <string>
#include <vector>

#include "common/errors.h"
#include "io/config.h"

namespace tributary {

/// Problems, each with the place of the key to change.
class KeyChecks {
 public:
  explicit KeyChecks(const Settings& settings) : settings_(settings) {}
  void refuse_if(bool wrong, const std::string& path, const std::string& text) {
    if (wrong) problems_.push_back({settings_.where(path), path + ": " + text});
  }
  /// Problems whose `where` is a key's path.
  void add(const UserError& error) {
    for (const Problem& problem : error.problems()) refuse_if(true, problem.where, problem.text);
  }
  /// Throws UserError when there are any.
  void finish() const {
    if (!problems_.empty()) throw UserError(problems_);
  }

 private:
  const Settings& settings_;
  std::vector<Problem> problems_;
};

}  // namespace tributary
