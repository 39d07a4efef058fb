// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/progress.h"

namespace tributary {
namespace {

constexpr double kWindow = 30;  // seconds the rate looks back

}  // namespace

void RateMeter::add(double seconds, double units, double cost) {
  samples_.push_back({seconds, units, cost});
  // One sample older than the window stays, or a slow stage would have no rate.
  while (samples_.size() > 2 && samples_[1].seconds <= seconds - kWindow) samples_.pop_front();
}

double RateMeter::units_per_second() const {
  if (samples_.size() < 2) return 0;
  const double seconds = samples_.back().seconds - samples_.front().seconds;
  return seconds > 0 ? (samples_.back().units - samples_.front().units) / seconds : 0;
}

double RateMeter::cost_per_second() const {
  if (samples_.size() < 2) return 0;
  const double seconds = samples_.back().seconds - samples_.front().seconds;
  return seconds > 0 ? (samples_.back().cost - samples_.front().cost) / seconds : 0;
}

}  // namespace tributary
