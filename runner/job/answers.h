// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether the model gives a pair's answers, from what it says; and the choice of the pairs that it solves.
#pragma once

#include <limits>
#include <vector>

#include "io/config.h"
#include "runner/job/job.h"
#include "runner/job/model.h"

namespace tributary {

/// The reason that SkippedPair gives of pairs that pairs.correct_only leaves out.
inline constexpr const char* unsolved_pair = "the model does not solve it (pairs.correct_only)";

/// Whether m tells the answers of both prompts apart by its sign, so that nothing else need be known.
inline bool sign_tells(const Job& job) { return job.config.metric == MetricKind::logit_difference; }

/// Of the clean and the counterfactual prompt, 1: the model gives its own answer, 0: it does not, NaN: it has none.
/// With metric: logit-difference by the sign of m; else the answer must be the most likely next token. metric,
/// likeliest: a row of PerformanceUnit each; the second is not read where the sign tells.
std::vector<double> correct_answers(const Job& job, const TokenPair& pair, const std::vector<double>& metric,
                                    const std::vector<double>& likeliest);

/// pairs.correct_only: keeps the pairs of a job whose own answers the model gives on both prompts, and lists the others
/// as skipped. Rank 0 chooses for all, in calls of one size, so that the choice is the same for any ranks, threads and
/// batches. Runs of one sweep with the same pairs share it. Collective; throws UserError where no training pair is
/// left, or none of those held out.
void keep_solved_pairs(Job& job, const Settings& settings, LoadedModel& model, const Communicator& comm);

}  // namespace tributary
