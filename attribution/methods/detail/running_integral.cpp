// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/running_integral.h"

#include "attribution/model/tensors.h"

#include <utility>

#include "common/errors.h"

namespace tributary::detail {
namespace {

/// sum += interval gradient × change, over one interval.
void add_interval(at::Tensor& sum, const PathSample& left, const PathSample& right, IntervalGradient which) {
  const at::Tensor change = right.value - left.value;
  switch (which) {
    case IntervalGradient::left:
      sum.add_(left.gradient * change);
      return;
    case IntervalGradient::right:
      sum.add_(right.gradient * change);
      return;
    case IntervalGradient::mean:
      sum.add_((left.gradient + right.gradient) * change * 0.5);
      return;
  }
  throw ContractViolation("an interval gradient outside the enumeration");
}

/// A copy, in the place of the one before.
void copy_to(at::Tensor& where, const at::Tensor& what) {
  if (where.defined()) {
    where.copy_(what);
  } else {
    where = what.clone();
  }
}

}  // namespace

// Product and sum are separate operations, here and above: LibTorch fuses them in its vector loop but not in the tail,
// whose place depends on sizes.
void accumulate(at::Tensor& sum, const at::Tensor& term, double weight) {
  if (!term.defined()) return;
  if (!sum.defined()) {
    sum = term * weight;
  } else {
    sum.add_(term * weight);
  }
}

void RunningIntegral::add(double alpha, const PathSample& sample, double weight) {
  if (weight != 0) {
    if (gradients_) accumulate(integral_.gradient, sample.gradient, weight);
    accumulate(integral_.input_gradient, sample.input_gradient, weight);
  }
  integral_.sum += weight * sample.slope;
  ends_.see(alpha, sample.metric);
  if (conductance_ && sample.value.defined()) add_conductance(sample);
  ++integral_.evaluations;
}

void RunningIntegral::add_conductance(const PathSample& sample) {
  if (integral_.evaluations == 0) {
    integral_.conductance = at::zeros_like(sample.gradient);
  } else {
    add_interval(integral_.conductance, previous_, sample, interval_);
  }
  copy_to(previous_.value, sample.value);
  if (interval_ != IntervalGradient::right) copy_to(previous_.gradient, sample.gradient);
}

PathIntegral RunningIntegral::take() {
  integral_.difference = ends_.difference();
  previous_ = {};
  return std::move(integral_);
}

}  // namespace tributary::detail
