// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/ranking.h"

#include <algorithm>
#include <array>
#include <bit>
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

/// Bits that ascend as keys descend. 0 and -0 are equal keys.
std::uint32_t descending(float key) {
  const auto bits = std::bit_cast<std::uint32_t>(key + 0.0F);
  constexpr std::uint32_t sign = 0x80000000U;
  return (bits & sign) != 0 ? bits : ~(bits | sign);
}

}  // namespace

std::vector<std::int64_t> ranked(const std::vector<float>& scores, Ranking ranking) {
  TRIBUTARY_EXPECT(scores.size() < (1ULL << 32), "a model has fewer than 2^32 nodes");
  // A radix sort, digit by digit of the key from the least: each pass is stable, so equal keys stay in flattened
  // (layer, position, neuron) order.
  constexpr int digit_bits = 11, digits = 3, key_shift = 32;
  constexpr std::size_t digit_values = 1U << digit_bits;
  std::vector<std::int64_t> order(scores.size()), sorted(scores.size());  // key above node
  std::array<std::array<std::size_t, digit_values>, digits> begin{};
  const auto digit_of = [](std::int64_t entry, int digit) {
    return (static_cast<std::uint64_t>(entry) >> (key_shift + digit * digit_bits)) & (digit_values - 1);
  };
  for (std::size_t node = 0; node < scores.size(); ++node) {
    const std::uint64_t key = descending(key_of(scores[node], ranking));
    order[node] = static_cast<std::int64_t>(key << key_shift | node);
    for (int digit = 0; digit < digits; ++digit) ++begin[digit][digit_of(order[node], digit)];
  }
  for (int digit = 0; digit < digits; ++digit) {
    std::exclusive_scan(begin[digit].begin(), begin[digit].end(), begin[digit].begin(), std::size_t{0});
    for (const std::int64_t entry : order) sorted[begin[digit][digit_of(entry, digit)]++] = entry;
    order.swap(sorted);
  }
  constexpr std::int64_t node_mask = (std::int64_t{1} << key_shift) - 1;
  for (std::int64_t& entry : order) entry &= node_mask;
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
