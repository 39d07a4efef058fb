// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Pairs of token ids as the tensors that a network takes: of one length each time.
#pragma once

#include <cstdint>
#include <vector>

#include "attribution/methods/attribute.h"
#include "io/pairs.h"
#include "runner/job/job.h"

namespace tributary {

/// Pairs of one token length, by their places in the list they came from.
struct Bucket {
  std::int64_t length = 0;
  std::vector<std::int64_t> members;  //!< indices, ascending
};

/// By token length, shortest first.
std::vector<Bucket> buckets_of(const std::vector<TokenPair>& pairs);

/// Positions from the first on at which both prompts of each of these pairs have the same tokens; the last is never one
/// of them. Of pairs of one length, with counterfactuals.
std::int64_t shared_positions(const std::vector<TokenPair>& pairs, const std::vector<std::int64_t>& members);

/// Positions that each of a bucket's training pairs computes for itself: from the first on that any of them differs at.
std::int64_t live_positions(const Job& job, const Bucket& bucket);

/// Some pairs of one length as tensors on the job's device.
Prompts prompts_of(const Job& job, const std::vector<TokenPair>& pairs, const std::vector<std::int64_t>& members);

}  // namespace tributary
