// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How well the model does the task itself, as results tell it: what a reader should know before any score.
#pragma once

#include <string>

#include "io/results.h"

namespace tributary::detail {

/// Which prompts a share or a mean is of.
enum class Role { clean, counterfactual };

/// Share of a split's prompts ("train", "test") that the model answers rightly, and their mean m. NaN: there are none,
/// they have no answer of their own, or the file does not tell.
double accuracy(const ResultsFile& results, const std::string& split, Role role);
double mean_metric(const ResultsFile& results, const std::string& split, Role role);

/// Lines for a terminal; empty where the file does not tell.
std::string performance_lines(const ResultsFile& results);

/// What to tell who reads results of a model that often fails the task; empty where it does not.
std::string performance_warning(const ResultsFile& results);

}  // namespace tributary::detail
