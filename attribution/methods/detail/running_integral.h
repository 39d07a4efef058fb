// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What fixed and adaptive integration share: sums of samples in order of alpha.
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

#include "attribution/methods/integrate.h"

namespace tributary::detail {

/// sum += weight × term; terms arrive in order of alpha, so the order of additions is fixed.
void accumulate(at::Tensor& sum, const at::Tensor& term, double weight);

/// m at both ends, as far as they have been seen.
class Ends {
 public:
  void see(double alpha, double metric) {
    if (alpha == 0) start_ = metric;
    if (alpha == 1) end_ = metric;
  }
  [[nodiscard]] double difference() const { return end_ - start_; }

 private:
  double start_ = std::numeric_limits<double>::quiet_NaN();
  double end_ = std::numeric_limits<double>::quiet_NaN();
};

/// Adds samples in order of alpha. Of the previous one it keeps a copy: samples are parts of a whole network call's
/// tensors, which would live as long as any of them.
class RunningIntegral {
 public:
  explicit RunningIntegral(const SweepPlan& plan)
      : interval_(plan.interval), gradients_(plan.gradients), conductance_(plan.conductance) {}

  void add(double alpha, const PathSample& sample, double weight);
  [[nodiscard]] PathIntegral take();

 private:
  void add_conductance(const PathSample& sample);

  IntervalGradient interval_;
  bool gradients_, conductance_;  // wanted
  PathIntegral integral_;
  PathSample previous_;  // value and, where intervals use it, gradient
  Ends ends_;
};

}  // namespace tributary::detail
