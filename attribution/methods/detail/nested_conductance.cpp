// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/nested_conductance.h"

#include "attribution/model/tensors.h"

#include <utility>

namespace tributary::detail {

RunningIntegral NestedConductance::running_of_level() {
  SweepPlan plan;
  plan.gradients = false;
  return RunningIntegral(plan);
}

void NestedConductance::pass_held(double alpha) {
  for (auto next = held_.upper_bound(passed_); next != held_.end() && next->first <= alpha; ++next) {
    running_.add(next->first, next->second, 0);
    passed_ = next->first;
  }
}

void NestedConductance::add(double alpha, const PathSample& sample, Hold hold) {
  pass_held(alpha);
  running_.add(alpha, sample, 0);
  if (hold == Hold::no) return;
  PathSample& copy = fresh_[alpha];
  copy.value = sample.value.clone();
  copy.gradient = sample.gradient.clone();
}

at::Tensor NestedConductance::take_level() {
  pass_held(1);
  held_.merge(std::exchange(fresh_, {}));
  passed_ = -1;
  at::Tensor conductance = running_.take().conductance;
  running_ = running_of_level();
  return conductance;
}

}  // namespace tributary::detail
