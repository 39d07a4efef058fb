// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far two lists of scores agree, and how well one score tells two classes apart. Plain numbers: no tensors.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tributary {

/// Pearson's correlation. NaN when a list is constant or has fewer than two values.
double pearson(std::span<const double> x, std::span<const double> y);

/// Pearson's correlation without the cell of the largest |x|: one huge neuron can carry the whole of it.
double pearson_without_largest(std::span<const double> x, std::span<const double> y);

/// Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank.
double spearman(std::span<const double> x, std::span<const double> y);

/// Places of the k largest |x|, ascending; equal values by place. No value may be NaN.
std::vector<std::size_t> largest(std::span<const double> x, std::size_t k);

/// Share of the places in `a` that are in `b` too; both ascending and of one size. NaN when they are empty.
double share_in_common(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b);

/// Share of the k largest |x| that are among the k largest |y|; equal values by place. NaN for k = 0 or more than there
/// are.
double overlap(std::span<const double> x, std::span<const double> y, std::size_t k);

/// Ranks from 1, ties sharing their mean. No value may be NaN.
std::vector<double> mean_ranks(std::span<const double> values);

/// Area under the ROC curve: how probable it is that a value of `inside` is larger than one of `outside`, ties counting
/// half (Mann & Whitney 1947). NaN where either is empty.
double auroc(std::span<const double> inside, std::span<const double> outside);

}  // namespace tributary
