// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0

#include "runner/cluster/progress.h"

#include <algorithm>
#include <cstddef>

namespace tributary {
namespace {

constexpr double kShortestWindow = 30;  // seconds
constexpr double kSamples = 500;        // about so many fit a window: units that are closer together are one sample

}  // namespace

void RateMeter::add(double seconds, double units, double cost) {
  if (samples_.empty()) {
    first_ = seconds;
    samples_.push_back({seconds, units, cost});
  }
  now_ = seconds;
  if (units == samples_.back().units) return;
  const double window = std::max(kShortestWindow, (seconds - first_) / 2);
  const std::size_t count = samples_.size();
  if (count > 2 && seconds - samples_[count - 2].seconds < window / kSamples) samples_.pop_back();
  samples_.push_back({seconds, units, cost});
  while (samples_.size() > 2 && samples_[1].seconds <= seconds - window) samples_.pop_front();
}

double RateMeter::seconds_taken() const {
  double longest = 0;
  for (std::size_t i = 1; i < samples_.size(); ++i) {
    longest = std::max(longest, samples_[i].seconds - samples_[i - 1].seconds);
  }
  const double last = samples_.back().seconds;
  return last - samples_.front().seconds + std::max(0.0, now_ - last - longest);
}

double RateMeter::units_per_second() const {
  if (samples_.size() < 2) return 0;
  const double seconds = seconds_taken();
  return seconds > 0 ? (samples_.back().units - samples_.front().units) / seconds : 0;
}

double RateMeter::cost_per_second() const {
  if (samples_.size() < 2) return 0;
  const double seconds = seconds_taken();
  return seconds > 0 ? (samples_.back().cost - samples_.front().cost) / seconds : 0;
}

}  // namespace tributary
