// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The examined pairs as prompts, and units of attribution on them: what the checks of `doctor` compute.
#pragma once

#include <cstdint>
#include <string>

#include "attribution/methods/attribute.h"
#include "runner/job/job.h"

namespace tributary {

/// The job's training pairs, which have one length.
Prompts examined_prompts(const Job& job);

LayerRange all_layers(const Architecture& architecture);

/// One unit of a method with its defaults, in network calls of at most so many rows.
UnitScores unit_of(const Transformer& network, const std::string& method, const Prompts& prompts, LayerRange layers,
                   std::int64_t rows = 512);

}  // namespace tributary
