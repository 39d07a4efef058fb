// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/agreement.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <set>

#include "common/errors.h"

namespace tributary {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// Sorting needs values that can be compared.
void require_order(std::span<const double> values) {
  TRIBUTARY_EXPECT(std::none_of(values.begin(), values.end(), [](double value) { return std::isnan(value); }),
                   "NaN has no place in an order");
}

std::ptrdiff_t place_of_largest(std::span<const double> x) {
  return std::max_element(x.begin(), x.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }) - x.begin();
}

std::vector<double> without(std::span<const double> values, std::ptrdiff_t place) {
  std::vector<double> rest(values.begin(), values.end());
  rest.erase(rest.begin() + place);
  return rest;
}

std::vector<std::size_t> ascending(std::span<const double> values) {
  require_order(values);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

/// Whether two of the values that count differ. The values themselves tell: squared distances from a mean that was
/// rounded are seldom 0.
template <typename Weight>
bool varies(std::span<const double> values, const Weight& weight) {
  std::size_t first = 0;
  while (first < values.size() && weight(first) == 0) ++first;
  for (std::size_t i = first; i < values.size(); ++i) {
    if (weight(i) != 0 && values[i] != values[first]) return true;
  }
  return false;
}

/// Σ w (x − x̄)(y − ȳ) / √(Σ w (x − x̄)² · Σ w (y − ȳ)²).
template <typename Weight>
double correlation(std::span<const double> x, std::span<const double> y, const Weight& weight) {
  TRIBUTARY_EXPECT(x.size() == y.size(), "scores of the same neurons");
  if (!varies(x, weight) || !varies(y, weight)) return undefined;
  double all = 0;
  double mean_x = 0;
  double mean_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    all += weight(i);
    mean_x += weight(i) * x[i];
    mean_y += weight(i) * y[i];
  }
  mean_x /= all;
  mean_y /= all;
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += weight(i) * (x[i] - mean_x) * (x[i] - mean_x);
    yy += weight(i) * (y[i] - mean_y) * (y[i] - mean_y);
    xy += weight(i) * (x[i] - mean_x) * (y[i] - mean_y);
  }
  const double scale = std::sqrt(xx * yy);
  return scale > 0 ? std::clamp(xy / scale, -1.0, 1.0) : undefined;  // rounding may lead beyond the ends
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) {
  return correlation(x, y, [](std::size_t) { return 1.0; });
}

double pearson_without_largest(std::span<const double> x, std::span<const double> y) {
  TRIBUTARY_EXPECT(x.size() == y.size(), "scores of the same neurons");
  if (x.size() < 3) return undefined;
  const std::ptrdiff_t place = place_of_largest(x);
  return pearson(without(x, place), without(y, place));
}

std::vector<double> mean_ranks(std::span<const double> values) {
  const std::vector<std::size_t> order = ascending(values);
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double shared = static_cast<double>(first + end + 1) / 2;
    for (; first < end; ++first) ranks[order[first]] = shared;
  }
  return ranks;
}

double spearman(std::span<const double> x, std::span<const double> y) { return pearson(mean_ranks(x), mean_ranks(y)); }

double weighted_pearson(std::span<const double> x, std::span<const double> y, std::span<const double> weight) {
  TRIBUTARY_EXPECT(x.size() == weight.size(), "scores and weights of the same neurons");
  return correlation(x, y, [weight](std::size_t i) { return weight[i]; });
}

double weighted_pearson_without_largest(std::span<const double> x, std::span<const double> y,
                                        std::span<const double> weight) {
  TRIBUTARY_EXPECT(x.size() == y.size() && x.size() == weight.size(), "scores and weights of the same neurons");
  if (x.size() < 3) return undefined;
  const std::ptrdiff_t place = place_of_largest(x);
  return weighted_pearson(without(x, place), without(y, place), without(weight, place));
}

std::vector<double> weighted_ranks(std::span<const double> values, std::span<const double> weight) {
  TRIBUTARY_EXPECT(values.size() == weight.size(), "a weight a value");
  const std::vector<std::size_t> order = ascending(values);
  std::vector<double> ranks(values.size());
  double below = 0;
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first;
    double tied = 0;
    for (; end < order.size() && values[order[end]] == values[order[first]]; ++end) tied += weight[order[end]];
    for (; first < end; ++first) ranks[order[first]] = below + tied / 2;
    below += tied;
  }
  return ranks;
}

double weighted_spearman(std::span<const double> x, std::span<const double> y, std::span<const double> weight) {
  return weighted_pearson(weighted_ranks(x, weight), weighted_ranks(y, weight), weight);
}

bool magnitudes_differ(std::span<const double> x) {
  return std::any_of(x.begin(), x.end(), [&x](double value) { return std::abs(value) != std::abs(x.front()); });
}

std::vector<std::size_t> largest(std::span<const double> x, std::size_t k) {
  require_order(x);
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(k, order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(x[a]) != std::abs(x[b]) ? std::abs(x[a]) > std::abs(x[b]) : a < b;
  });
  order.erase(end, order.end());
  std::sort(order.begin(), order.end());
  return order;
}

double share_in_common(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) {
  TRIBUTARY_EXPECT(a.size() == b.size(), "as many of the one as of the other");
  if (a.empty()) return undefined;
  std::vector<std::size_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(a.size());
}

double overlap(std::span<const double> x, std::span<const double> y, std::size_t k) {
  TRIBUTARY_EXPECT(x.size() == y.size(), "scores of the same neurons");
  if (k == 0 || k > x.size() || !magnitudes_differ(x) || !magnitudes_differ(y)) return undefined;
  return share_in_common(largest(x, k), largest(y, k));
}

std::size_t different_values(std::span<const double> values) {
  require_order(values);
  return std::set<double>(values.begin(), values.end()).size();
}

double auroc(std::span<const double> inside, std::span<const double> outside) {
  if (inside.empty() || outside.empty()) return undefined;
  std::vector<double> all(inside.begin(), inside.end());
  all.insert(all.end(), outside.begin(), outside.end());
  const std::vector<double> ranks = mean_ranks(all);
  const auto n = static_cast<double>(inside.size());
  const double sum = std::accumulate(ranks.begin(), ranks.begin() + std::ssize(inside), 0.0);
  return (sum - n * (n + 1) / 2) / (n * static_cast<double>(outside.size()));
}

}  // namespace tributary
