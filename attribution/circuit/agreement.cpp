// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "common/errors.h"

namespace tributary {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// Places of values, in the order of `before`; equal values by place.
template <typename Before>
std::vector<std::size_t> sorted_places(std::size_t count, const Before& before) {
  std::vector<std::size_t> places(count);
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(), before);
  return places;
}

std::set<std::size_t> largest(std::span<const double> values, std::size_t k) {
  const std::vector<std::size_t> order = sorted_places(
      values.size(), [&](std::size_t a, std::size_t b) { return std::abs(values[a]) > std::abs(values[b]); });
  return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k)};
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) {
  TRIBUTARY_EXPECT(x.size() == y.size(), "scores of the same neurons");
  if (x.size() < 2) return undefined;
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : undefined;
}

double pearson_without_largest(std::span<const double> x, std::span<const double> y) {
  TRIBUTARY_EXPECT(x.size() == y.size(), "scores of the same neurons");
  if (x.size() < 3) return undefined;
  const auto cell = std::max_element(x.begin(), x.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  const auto without = [place = cell - x.begin()](std::span<const double> values) {
    std::vector<double> rest(values.begin(), values.end());
    rest.erase(rest.begin() + place);
    return rest;
  };
  return pearson(without(x), without(y));
}

std::vector<double> mean_ranks(std::span<const double> values) {
  const std::vector<std::size_t> order =
      sorted_places(values.size(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double shared = static_cast<double>(first + end + 1) / 2;
    for (; first < end; ++first) ranks[order[first]] = shared;
  }
  return ranks;
}

double spearman(std::span<const double> x, std::span<const double> y) { return pearson(mean_ranks(x), mean_ranks(y)); }

double overlap(std::span<const double> x, std::span<const double> y, std::size_t k) {
  TRIBUTARY_EXPECT(x.size() == y.size(), "scores of the same neurons");
  if (k == 0 || k > x.size()) return undefined;
  const std::set<std::size_t> of_x = largest(x, k);
  const std::set<std::size_t> of_y = largest(y, k);
  const auto both = std::count_if(of_x.begin(), of_x.end(), [&of_y](std::size_t i) { return of_y.count(i) != 0; });
  return static_cast<double>(both) / static_cast<double>(k);
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
