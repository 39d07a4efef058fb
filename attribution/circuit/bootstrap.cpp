// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <random>

#include "common/errors.h"
#include "common/seeded.h"

namespace tributary {
namespace {

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

/// Sorted values' quantile, linear between neighbours.
double quantile(const std::vector<double>& sorted, double p) {
  const double place = std::clamp(p, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

/// Weights of pairs from how often their clusters were drawn.
std::vector<double> weights_of(const std::vector<std::int64_t>& cluster, const std::vector<double>& drawn) {
  std::vector<double> weights;
  weights.reserve(cluster.size());
  for (const std::int64_t one : cluster) weights.push_back(drawn[static_cast<std::size_t>(one)]);
  return weights;
}

std::size_t count_of(const std::vector<std::int64_t>& cluster) {
  return cluster.empty() ? 0 : static_cast<std::size_t>(*std::max_element(cluster.begin(), cluster.end())) + 1;
}

/// How often each of `n` was drawn in `draws` draws.
std::vector<double> draw_with_replacement(std::size_t n, std::size_t draws, std::mt19937_64& random) {
  std::vector<double> drawn(n, 0);
  for (std::size_t i = 0; i < draws; ++i) drawn[draw_below(random, n)] += 1;
  return drawn;
}

/// Sorts resampled values; undefined ones go. False where more of them go than an interval leaves out: its ends could
/// then lie anywhere.
bool keep_defined(std::vector<double>& values, double level) {
  const auto all = static_cast<double>(values.size());
  std::erase_if(values, [](double value) { return std::isnan(value); });
  std::sort(values.begin(), values.end());
  return !values.empty() && static_cast<double>(values.size()) >= level * all;
}

/// Skewness of the statistic in its clusters, by leaving each out once (Efron 1987, eq. 6.6 with jackknife values).
double acceleration(const std::vector<std::int64_t>& cluster, std::size_t clusters,
                    const WeightedStatistic& statistic) {
  std::vector<double> values;
  for (std::size_t left_out = 0; left_out < clusters; ++left_out) {
    std::vector<double> drawn(clusters, 1);
    drawn[left_out] = 0;
    values.push_back(statistic(weights_of(cluster, drawn)));
  }
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double squares = 0;
  double cubes = 0;
  for (const double value : values) {
    squares += std::pow(mean - value, 2);
    cubes += std::pow(mean - value, 3);
  }
  const double a = cubes / (6 * std::pow(squares, 1.5));
  return std::isfinite(a) ? a : 0;  // a statistic that no pair moves, or undefined without one of them
}

/// How far the observed value stands from the resamples' median, as a normal deviate; ties count half, and it is kept
/// off the ends.
double bias_of(const std::vector<double>& sorted, double observed) {
  const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), observed);
  const double below = static_cast<double>((first - sorted.begin()) + (last - sorted.begin())) / 2;
  const auto count = static_cast<double>(sorted.size());
  return normal_quantile(std::clamp(below / count, 0.5 / count, 1 - 0.5 / count));
}

/// A normal deviate widened for `clusters` of them, as Hesterberg (2015) does.
double width_of(std::size_t clusters, double level) {
  const auto n = static_cast<double>(clusters);
  return student_quantile(1 - (1 - level) / 2, n - 1) * std::sqrt(n / (n - 1));
}

}  // namespace

double normal_quantile(double p) {
  TRIBUTARY_EXPECT(p > 0 && p < 1, "a probability inside (0, 1)");
  double z = 0;
  for (int i = 0; i < 60; ++i) {  // Newton, held back far out where the density vanishes
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double step = std::clamp((normal_cdf(z) - p) / density, -1.0, 1.0);
    z -= step;
    if (std::abs(step) < 1e-12) break;
  }
  return z;
}

double student_quantile(double p, double degrees) {
  const double z = normal_quantile(p);
  const double z2 = z * z;
  const double n = degrees;
  return z + z * (z2 + 1) / (4 * n) + z * ((5 * z2 + 16) * z2 + 3) / (96 * n * n) +
         z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * n * n * n) +
         z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / (92160 * n * n * n * n);
}

double weighted_mean(std::span<const double> weight, std::span<const double> values) {
  double sum = 0;
  double all = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += weight[i] * values[i];
    all += weight[i];
  }
  return sum / all;
}

std::vector<std::int64_t> clusters_of(const std::vector<std::string>& keys) {
  std::map<std::string, std::int64_t> numbers;
  std::vector<std::int64_t> clusters;
  for (const std::string& key : keys) clusters.push_back(numbers.emplace(key, std::ssize(numbers)).first->second);
  return clusters;
}

Interval bootstrap(const std::vector<std::int64_t>& cluster, const WeightedStatistic& statistic,
                   const BootstrapOptions& options) {
  const std::size_t clusters = count_of(cluster);
  if (clusters < 2) return no_interval;
  const double observed = statistic(std::vector<double>(cluster.size(), 1));
  if (std::isnan(observed)) return no_interval;
  std::mt19937_64 random(mixed(options.seed));
  std::vector<double> values;
  for (int resample = 0; resample < options.resamples; ++resample) {
    values.push_back(statistic(weights_of(cluster, draw_with_replacement(clusters, clusters, random))));
  }
  if (!keep_defined(values, options.level)) return no_interval;
  const double bias = bias_of(values, observed);
  const double a = acceleration(cluster, clusters, statistic);
  const auto end = [&](double z) {
    return quantile(values, normal_cdf(bias + (bias + z) / std::max(1 - a * (bias + z), 1e-3)));
  };
  const double width = width_of(clusters, options.level);
  return {end(-width), end(width)};
}

std::vector<Interval> bootstrap_sample(const std::vector<std::int64_t>& cluster, const std::vector<SampledNode>& nodes,
                                       const SampleStatistics& statistics, const BootstrapOptions& options) {
  const std::size_t clusters = count_of(cluster);
  std::map<std::int64_t, std::vector<std::size_t>> strata;
  std::vector<double> weight;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    weight.push_back(nodes[i].weight);
    if (nodes[i].inclusion < 1) strata[nodes[i].stratum].push_back(i);
  }
  std::vector<std::vector<double>> values(statistics(std::vector<double>(cluster.size(), 1), weight).size());
  std::mt19937_64 random(mixed(options.seed));
  for (int resample = 0; clusters >= 2 && resample < options.resamples; ++resample) {
    const std::vector<double> pair = weights_of(cluster, draw_with_replacement(clusters, clusters, random));
    std::vector<double> node = weight;
    for (const auto& [stratum, members] : strata) {
      const std::size_t k = members.size();
      if (k < 2) continue;
      const std::vector<double> drawn = draw_with_replacement(k, k - 1, random);
      const double scale = static_cast<double>(k) / static_cast<double>(k - 1);
      for (std::size_t i = 0; i < k; ++i) {
        node[members[i]] *= 1 + std::sqrt(1 - nodes[members[i]].inclusion) * (drawn[i] * scale - 1);
      }
    }
    const std::vector<double> resampled = statistics(pair, node);
    for (std::size_t i = 0; i < values.size(); ++i) values[i].push_back(resampled[i]);
  }
  std::vector<Interval> intervals;
  for (std::vector<double>& of_one : values) {
    if (!keep_defined(of_one, options.level)) {
      intervals.push_back(no_interval);
      continue;
    }
    const double width = width_of(clusters, options.level);
    intervals.push_back({quantile(of_one, normal_cdf(-width)), quantile(of_one, normal_cdf(width))});
  }
  return intervals;
}

}  // namespace tributary
