// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Conductance of one example from nested points: every level's intervals are others, so the samples of earlier levels
// are needed again.
#pragma once

#include <map>

#include "attribution/methods/detail/running_integral.h"

namespace tributary::detail {

class NestedConductance {
 public:
  NestedConductance() : running_(running_of_level()) {}

  /// Whether a finer level may follow, whose intervals begin or end at this sample.
  enum class Hold { yes, no };

  /// The next new point of the level at hand, ascending in alpha.
  void add(double alpha, const PathSample& sample, Hold hold);
  /// The level's conductance, from its points and those of all levels before.
  [[nodiscard]] at::Tensor take_level();

 private:
  static RunningIntegral running_of_level();
  /// The held samples of earlier levels up to alpha.
  void pass_held(double alpha);

  std::map<double, PathSample> held_, fresh_;  // copies by alpha: of earlier levels, of this one
  double passed_ = -1;                         // alpha of the held sample that was added last
  RunningIntegral running_;
};

}  // namespace tributary::detail
