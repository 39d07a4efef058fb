// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What becomes of runs that share passes through the network when something fails in what they share: that need not be
// the fault of all of them, so each then gets the passes for itself.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace tributary {

/// How an attempt on some runs has ended.
struct GroupEnd {
  int code = 0;            //!< exit code
  bool in_common = false;  //!< it is about what they share, so that none of them got results
};

struct GroupAttempts {
  /// Runs by index, computed together.
  std::function<GroupEnd(const std::vector<std::size_t>& runs)> compute;
  /// Whether a run has its results.
  std::function<bool(std::size_t run)> complete;
  /// Called before the attempts on single runs.
  std::function<void()> before_single;
};

/// Computes 0 … runs − 1 together, and where units fail in what they share, each that is not complete by itself. The
/// exit code: of the single attempts, where there were some; one that ends the sweep ends them.
int together_or_one_by_one(std::size_t runs, const GroupAttempts& attempts);

}  // namespace tributary
