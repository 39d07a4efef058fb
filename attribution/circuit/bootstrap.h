// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Intervals for any statistic of prompt pairs, by resampling unique pairs. Plain numbers: no tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tributary {

struct Interval {
  double low = 0, high = 0;  //!< NaN when the statistic is undefined
};

/// How resampled values become an interval.
enum class BootstrapKind {
  /// Bias-corrected and accelerated (Efron 1987, "Better bootstrap confidence intervals"): for means and their ratios.
  bca,
  /// 2 · observed − quantiles (Davison & Hinkley 1997, eq. 5.6): for correlations of means over pairs. Resampling adds
  /// to the noise of those means, so that resampled correlations are too low; this turns the shift round.
  basic,
};

struct BootstrapOptions {
  BootstrapKind kind = BootstrapKind::bca;
  double level = 0.95;  //!< share of cases in which the interval should hold the truth
  int resamples = 1000;
  std::uint64_t seed = 0;
};

/// A statistic of pairs that count `weight[pair]` times each (0, 1, 2, …).
using WeightedStatistic = std::function<double(std::span<const double> weight)>;

/// An interval of a statistic over pairs. Normal quantiles are widened for small samples as Hesterberg (2015, "What
/// teachers should know about the bootstrap") does for percentile intervals: z becomes t(n - 1) · sqrt(n / (n - 1)).
/// Pairs of one `cluster` (the same prompts) are drawn together. Resamples for which the statistic is NaN are left out.
/// NaN with fewer than two clusters, or when more than half of the resamples are undefined.
Interval bootstrap(const std::vector<std::int64_t>& cluster, const WeightedStatistic& statistic,
                   const BootstrapOptions& options);

/// A number a pair that equals another's where their keys do: 0, 1, 2, … in order of appearance.
std::vector<std::int64_t> clusters_of(const std::vector<std::string>& keys);

/// Σ weight · value / Σ weight.
double weighted_mean(std::span<const double> weight, std::span<const double> values);

/// Inverse of the standard normal distribution function, 0 < p < 1, to 1e-9.
double normal_quantile(double p);
/// Inverse of Student's t distribution function (Abramowitz & Stegun 26.7.5), to 1e-3 from 5 degrees of freedom on.
double student_quantile(double p, double degrees);

}  // namespace tributary
