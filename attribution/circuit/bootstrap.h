// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Intervals for any statistic of prompt pairs, by resampling unique pairs, and of a sample of nodes besides. Plain
// numbers: no tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace tributary {

struct Interval {
  double low = 0, high = 0;  //!< NaN when the statistic is undefined
};
constexpr Interval no_interval{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};

struct BootstrapOptions {
  double level = 0.95;  //!< share of cases in which the interval should hold the truth
  int resamples = 1000;
  std::uint64_t seed = 0;
};

/// A statistic of pairs that count `weight[pair]` times each (0, 1, 2, …).
using WeightedStatistic = std::function<double(std::span<const double> weight)>;

/// An interval of a statistic over pairs, bias-corrected and accelerated (Efron 1987, "Better bootstrap confidence
/// intervals"): for means and their ratios. Normal quantiles are widened for small samples as Hesterberg (2015, "What
/// teachers should know about the bootstrap") does for percentile intervals: z becomes t(n - 1) · sqrt(n / (n - 1)).
/// Pairs of one `cluster` (the same prompts) are drawn together. Resamples for which the statistic is NaN are left out.
/// NaN with fewer than two clusters, or when more of the resamples are undefined than the interval leaves out: one in
/// twenty at a level of 0.95.
Interval bootstrap(const std::vector<std::int64_t>& cluster, const WeightedStatistic& statistic,
                   const BootstrapOptions& options);

/// A node of a sample: how many nodes it stands for, and how it came there.
struct SampledNode {
  double weight = 1;
  double inclusion = 1;      //!< how probable it was that the sample has it; 1: certain
  std::int64_t stratum = 0;  //!< those that were not certain were drawn within strata
};

/// Statistics of pairs and nodes that count `pair[i]` and `node[k]` times each.
using SampleStatistics = std::function<std::vector<double>(std::span<const double> pair, std::span<const double> node)>;

/// Intervals of statistics of a sample of nodes over pairs, for the population of both: percentiles of resamples in
/// which pairs are drawn as above, and nodes too (Rao & Wu 1988, "Resampling inference with complex survey data"): of
/// the k uncertain nodes of a stratum k − 1 are drawn, a node c times, and it stands for w (1 + √(1 − π) (c k / (k − 1)
/// − 1)); one that is alone in its stratum, or certain, for w. Quantiles are widened, resamples left out, and NaN, as
/// above.
std::vector<Interval> bootstrap_sample(const std::vector<std::int64_t>& cluster, const std::vector<SampledNode>& nodes,
                                       const SampleStatistics& statistics, const BootstrapOptions& options);

/// A number a pair that equals another's where their keys do: 0, 1, 2, … in order of appearance.
std::vector<std::int64_t> clusters_of(const std::vector<std::string>& keys);

/// Σ weight · value / Σ weight.
double weighted_mean(std::span<const double> weight, std::span<const double> values);

/// Inverse of the standard normal distribution function, 0 < p < 1, to 1e-9.
double normal_quantile(double p);
/// Inverse of Student's t distribution function (Abramowitz & Stegun 26.7.5), to 1e-3 from 5 degrees of freedom on.
double student_quantile(double p, double degrees);

}  // namespace tributary
