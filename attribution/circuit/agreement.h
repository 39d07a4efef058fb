// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far two lists of scores agree, and how well one score tells two classes apart. Plain numbers: no tensors.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tributary {

/// Pearson's correlation, within [-1, 1]. NaN when the values of a list are all equal, or there are fewer than two.
double pearson(std::span<const double> x, std::span<const double> y);

/// Pearson's correlation without the cell of the largest |x|: one huge neuron can carry the whole of it.
double pearson_without_largest(std::span<const double> x, std::span<const double> y);

/// Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank.
double spearman(std::span<const double> x, std::span<const double> y);

/// The same three of a sample that speaks for a population: a node that stands for `weight` nodes (one over the
/// probability of its being in the sample; 0: it is left out) counts so often. Pearson's is Σ w (x − x̄)(y − ȳ) /
/// √(Σ w (x − x̄)² · Σ w (y − ȳ)²) with x̄ = Σ w x / Σ w; Spearman's is that of weighted_ranks(). NaN when those
/// of a list that count are all equal.
double weighted_pearson(std::span<const double> x, std::span<const double> y, std::span<const double> weight);
double weighted_pearson_without_largest(std::span<const double> x, std::span<const double> y,
                                        std::span<const double> weight);
double weighted_spearman(std::span<const double> x, std::span<const double> y, std::span<const double> weight);

/// Estimated mid-ranks in the population: R_i = Σ_j w_j ([y_j < y_i] + ½ [y_j = y_i]). No value may be NaN.
std::vector<double> weighted_ranks(std::span<const double> values, std::span<const double> weight);

/// Whether |x| tells any value from another, so that some are the largest.
bool magnitudes_differ(std::span<const double> x);

/// Places of the k largest |x|, ascending; equal values by place. No value may be NaN.
std::vector<std::size_t> largest(std::span<const double> x, std::size_t k);

/// Share of the places in `a` that are in `b` too; both ascending and of one size. NaN when they are empty.
double share_in_common(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b);

/// Share of the k largest |x| that are among the k largest |y|; equal values by place. NaN for k = 0 or more than there
/// are, and where the magnitudes of x or of y do not differ.
double overlap(std::span<const double> x, std::span<const double> y, std::size_t k);

/// How many different values a list has. No value may be NaN.
std::size_t different_values(std::span<const double> values);

/// Ranks from 1, ties sharing their mean. No value may be NaN.
std::vector<double> mean_ranks(std::span<const double> values);

/// Area under the ROC curve: how probable it is that a value of `inside` is larger than one of `outside`, ties counting
/// half (Mann & Whitney 1947). NaN where either is empty.
double auroc(std::span<const double> inside, std::span<const double> outside);

}  // namespace tributary
