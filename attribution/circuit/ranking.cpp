// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/errors.h"

namespace tributary {
namespace {

/// What a ranking compares; NaN below everything.
float key_of(float score, Ranking ranking) {
  if (std::isnan(score)) return -std::numeric_limits<float>::infinity();
  return ranking == Ranking::absolute ? std::abs(score) : score;
}

}  // namespace

std::vector<std::int64_t> ranked(const std::vector<float>& scores, Ranking ranking) {
  std::vector<float> keys(scores.size());
  std::transform(scores.begin(), scores.end(), keys.begin(), [ranking](float s) { return key_of(s, ranking); });
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  // Stable: equal keys stay in flattened (layer, position, neuron) order.
  std::stable_sort(order.begin(), order.end(), [&keys](std::int64_t a, std::int64_t b) {
    return keys[static_cast<std::size_t>(a)] > keys[static_cast<std::size_t>(b)];
  });
  return order;
}

std::vector<std::int32_t> places(const std::vector<std::int64_t>& order) {
  TRIBUTARY_EXPECT(order.size() < (1ULL << 31), "a model has fewer than 2^31 neurons");
  std::vector<std::int32_t> place(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    place[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  return place;
}

std::int64_t count_of_scored(const std::vector<float>& scores) {
  return std::count_if(scores.begin(), scores.end(), [](float s) { return !std::isnan(s); });
}

std::int64_t count_of_fraction(double fraction, std::int64_t nodes) {
  // 0.1 × 230400 must not become 23039: the product may fall just short of the whole number it stands for.
  const double product = fraction * static_cast<double>(nodes);
  const double nearest = std::round(product);
  const bool whole = std::abs(product - nearest) <= 1e-9 * std::max(1.0, nearest);
  return static_cast<std::int64_t>(whole ? nearest : std::floor(product));
}

std::int64_t count_of_threshold(const std::vector<float>& scores, double threshold, Ranking ranking) {
  return std::count_if(scores.begin(), scores.end(),
                       [&](float s) { return static_cast<double>(key_of(s, ranking)) >= threshold; });
}

std::int64_t count_of_mass(const std::vector<float>& scores, double share, Ranking ranking) {
  const auto weight = [&scores](std::int64_t node) {
    const float s = scores[static_cast<std::size_t>(node)];
    return std::isnan(s) ? 0.0 : static_cast<double>(std::abs(s));
  };
  const std::vector<std::int64_t> order = ranked(scores, ranking);
  const double all = std::accumulate(order.begin(), order.end(), 0.0,
                                     [&](double sum, std::int64_t node) { return sum + weight(node); });
  double mass = 0;
  std::int64_t count = 0;
  while (count < static_cast<std::int64_t>(order.size()) && mass < share * all)
    mass += weight(order[static_cast<std::size_t>(count++)]);
  return count;
}

}  // namespace tributary
