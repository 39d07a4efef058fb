// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/detail/running_integral.h"

#include "attribution/model/tensors.h"

#include <utility>

#include "attribution/methods/detail/fused_sums.h"

namespace tributary::detail {

void accumulate(at::Tensor& sum, const at::Tensor& term, double weight) {
  if (!term.defined()) return;
  if (!sum.defined()) {
    sum = term * weight;
  } else {
    add_scaled(sum, term, weight);
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
  if (integral_.evaluations != 0) return add_interval(integral_.conductance, previous_, sample, interval_);
  integral_.conductance = at::zeros_like(sample.gradient);
  previous_.value = sample.value.clone();
  if (interval_ != IntervalGradient::right) previous_.gradient = sample.gradient.clone();
}

PathIntegral RunningIntegral::take() {
  integral_.difference = ends_.difference();
  previous_ = {};
  return std::move(integral_);
}

}  // namespace tributary::detail
