// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The checks of `doctor` that results are the same bits however the work is cut: over the rows of a network call, over
// threads, over ranks.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "attribution/methods/attribute.h"
#include "runner/commands/doctor_finding.h"
#include "runner/job/job.h"

namespace tributary {

/// A prompt's neurons and their gradients do not depend on what else is in a network call of up to so many rows.
Finding check_rows(const Job& job, std::int64_t rows);

/// Threads that share the loops of a unit, and two that compute different scores at the same time, get the bits that
/// one alone gets.
Finding check_threads(const Job& job);

/// Scores of single pairs and of some layers, folded as ranks fold their shares of a run, are the bits of one unit. The
/// shares are computed one after the other, in this process.
Finding check_ranks(const Job& job);

/// Two computations, each with the same result whenever it is called.
using TwoComputations = std::array<std::function<at::Tensor()>, 2>;
/// The comparison of check_threads: each is computed so many times, while the other is.
Finding compare_threads(const TwoComputations& computations, int times);

/// Whether a computation gives the same when its thread has a team that shares its loops.
bool same_when_shared(const std::function<at::Tensor()>& computation);

/// Scores [layer, pos, neuron], float64, of a unit: some pairs, some layers.
using UnitScoresOf = std::function<at::Tensor(const Prompts&, LayerRange)>;
/// The comparison of check_ranks, for the units that cut these pairs and layers.
Finding compare_ranks(const UnitScoresOf& scores, const Prompts& prompts, LayerRange layers);

}  // namespace tributary
