// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tables of a run as datasets, for results_table.cpp and results_evidence.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/results.h"
#include "runner/results/results_table.h"
#include "runner/stages/attribution_stage.h"

namespace tributary::detail {

using Strings = std::vector<std::string>;

std::int64_t size_of(const auto& values) { return static_cast<std::int64_t>(values.size()); }

/// A per-pair table as float32 [pair, column], or [pair] when it has one column and `axis` is empty.
Dataset table_dataset(const std::string& path, const PairTable& table, const std::string& axis,
                      const std::string& long_name, const std::string& units);
/// The same as int64 [pair, layer].
Dataset integers_dataset(const std::string& path, const PairTable& table, const std::string& long_name);
/// float64 [axis]
Dataset points_dataset(const std::string& path, const std::vector<double>& values, const std::string& axis,
                       const std::string& long_name, const std::string& units);
Dataset counts_dataset(const std::string& path, const std::vector<std::int64_t>& values, const std::string& axis,
                       const std::string& long_name);
Dataset strings_dataset(const std::string& path, const Strings& values, const std::string& axis,
                        const std::string& long_name);
/// Metrics [row][pair] as float32 [axis, pair].
Dataset metrics_dataset(const std::string& path, const std::vector<std::vector<double>>& metrics, std::int64_t pairs,
                        const std::string& axis, const std::string& long_name, const std::string& units);
Dataset pair_metrics_dataset(const std::string& path, const std::vector<double>& metrics, const std::string& long_name);

/// Adds `<path>_low` and `<path>_high`: 95 % intervals over unique prompt pairs.
void add_intervals(ResultsFile& file, const std::string& path, const std::vector<Interval>& intervals,
                   const std::string& axis, const std::string& units);

/// The groups /agreement, /steering and /cases (results_evidence.cpp).
void add_evidence(ResultsFile& file, const Job& job, const Outcome& outcome);

}  // namespace tributary::detail
