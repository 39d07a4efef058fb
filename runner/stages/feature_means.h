// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Means of features over prompts, for circuits that set what they leave out to its mean.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "attribution/nodes/feature_edit.h"
#include "runner/job/job.h"
#include "runner/stages/execution.h"

namespace tributary {

/// By token length, over the counterfactual prompts of pairs (of unpaired ones the clean prompts); on every rank.
std::map<std::int64_t, std::shared_ptr<const FeatureValues>> run_feature_means(const Execution& execution,
                                                                               const Job& job, const std::string& name,
                                                                               const std::vector<TokenPair>& pairs);

}  // namespace tributary
