// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What attribution of dictionary features takes, from the dictionaries' shapes. How many features are active is not
// known before they are computed: of relu and JumpReLU all of them are taken to be, of TopK k on each prompt.
#pragma once

#include <cstdint>

#include "runner/job/job.h"

namespace tributary {

/// A micro-batch, and how many of such pairs a unit has.
struct FeatureBatch {
  std::int64_t pairs = 1, live = 1, unit_pairs = 1;
};

/// The most features that a run's sums can hold, each at a position; of imported ones those listed. `live`: positions
/// of a pair at which prompts may differ.
double feature_entries(const Job& run, std::int64_t live);
/// Of their sums over pairs, in bytes.
double bytes_of_feature_sums(const Job& run, std::int64_t live);
/// What a worker holds of a micro-batch's pairs, its sums over them included, until they are a unit's result.
double bytes_of_feature_task(const Job& run, const FeatureBatch& batch);
/// What looking at the first nodes takes, where some of them are of dictionaries.
double bytes_of_feature_values(const Job& run, std::int64_t rows);
/// What a pass in which features are changed holds of them, in bytes: those of all rows of a call.
double bytes_of_feature_pass(const Job& run, std::int64_t rows);
/// Of the features of so many rows of other prompts, and errors there, that resample ablation sets, in bytes.
double bytes_of_other_features(const Job& run, double rows);
/// Of means of features, and errors, over pairs of one length, in bytes.
double bytes_of_mean_features(const Job& run, std::int64_t pairs, double length);
/// What a worker holds until it has sums over a unit's pairs for those means, in bytes.
double bytes_of_feature_means(const Job& run, std::int64_t pairs, double length);
/// Floating-point operations of encoding and of products with W_dec, of one position of a pair.
double feature_operations(const Job& run);

}  // namespace tributary
