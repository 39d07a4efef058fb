// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What of a run's configuration can only be settled beside its model and its pairs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/config.h"
#include "io/tokenizer.h"
#include "runner/job/job.h"

namespace tributary {

/// Sizes that nodes, pairs and vocabulary bound: defaults that are too large shrink, given values are refused. Throws
/// UserError with the key's place.
void settle_sizes(Job& job, const Settings& settings);

/// Throws UserError where steering names a neuron that is not there, or has no pairs to steer.
void check_steering(const Job& job, const Settings& settings);

/// Rules asked for by name must act somewhere in the model; a preset drops those that cannot, unless none is left.
/// Throws UserError.
void settle_rules(Job& job);

/// In bfloat16 residuals are rounding noise, so adaptive takes its points from a float32 pilot. Throws UserError where
/// the rules leave a pilot nothing to compare with.
void settle_quadrature(Job& job);

/// Throws UserError where a prompt holds a token that the model's embedding has no row for.
void require_in_vocabulary(const std::vector<std::int64_t>& ids, const Tokenizer& tokenizer, std::int64_t vocabulary,
                           const std::string& where);

/// Whether a pair, training or held out, has no counterfactual prompt.
bool lacks_counterfactuals(const PairSet& pairs);

/// How pairs are chosen for a model of this size.
PairOptions pair_options_for(const RunConfig& config, const Architecture& architecture);

/// All that is known once the pairs are: everything above, and the prompts of attribution.baseline_file. Throws
/// UserError.
void settle_job(Job& job, const Settings& settings);

}  // namespace tributary
