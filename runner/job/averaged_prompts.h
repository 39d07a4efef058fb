// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Which prompts the means of baselines and ablations are taken over. Means are position by position, so prompts of each
// token length have their own: and the mean over one prompt is that prompt itself (`pair`, `resample`).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runner/job/job.h"

namespace tributary {

/// Means over fewer different prompts of a length are told to the user.
inline constexpr std::int64_t few_prompts = 8;

/// Different prompts that pairs of each token length are averaged over: the counterfactual ones, or where unpaired the
/// clean ones.
std::map<std::int64_t, std::int64_t> averaged_prompts(const Job& job, const std::vector<TokenPair>& pairs);

/// The pairs whose prompts give the ablation means: those that circuit.ablation_pairs names, but the training pairs for
/// lengths of which there is one held-out prompt alone.
std::vector<TokenPair> ablation_pairs(const Job& job);

/// Lengths of held-out pairs for which there is no mean: no prompt of ablation_pairs(job), or one that may be their
/// own.
std::vector<std::int64_t> lengths_without_mean(const Job& job);

/// What the user should know of the means that the run takes, a line each.
std::vector<std::string> notes_on_means(const Job& job);

}  // namespace tributary
