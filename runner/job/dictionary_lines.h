// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// A run's dictionaries of features for people, by the numbers that nodes, tables and results have for them.
#pragma once

#include <string>
#include <vector>

#include "runner/job/job.h"

namespace tributary {

/// "dictionary 0: resid_post 12 layer_12, 16384 features, topk 32", a line each.
std::vector<std::string> dictionary_lines(const Job& job);

}  // namespace tributary
