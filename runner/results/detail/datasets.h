// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Numbers and texts of a run as datasets: the schema's row of a path says axes, units and description, and which type
// the values must have. ContractViolation where a path has no row, or where values and row do not fit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/results.h"
#include "runner/results/results_table.h"
#include "runner/stages/attribution_stage.h"

namespace tributary::detail {

using Strings = std::vector<std::string>;
using Rows = std::vector<std::vector<double>>;

std::int64_t size_of(const auto& values) { return static_cast<std::int64_t>(values.size()); }

/// Which of its row's axes a dataset has.
enum class Axes { usual, other };

/// Where results of a kind of nodes lie: "/attribution", "/nodes/heads".
std::string group_of(NodeKind kind);
/// What its comparison with exact patching is called: "/agreement", "/nodes/heads/agreement"; likewise its cases.
std::string group_of(NodeKind kind, const std::string& part);
/// Lengths of the axes that a kind's nodes have there: [layer, position, node], without those of which there is one;
/// of a list its length.
std::vector<std::int64_t> axes_shape(const NodeLayout& layout, std::size_t kind);
/// "neurons", "heads"
Strings names_of(const NodeLayout& layout);

Dataset dataset(const std::string& path, std::vector<std::int64_t> shape, Values values, Axes axes = Axes::usual);

/// Along the one axis of its row.
Dataset list(const std::string& path, Values values);

/// Rows side by side as float32 [row, column], short ones filled up with NaN.
Dataset table(const std::string& path, const Rows& rows, Axes axes = Axes::usual);

/// The same of whole numbers, as int64; all rows have one length.
Dataset integer_table(const std::string& path, const Rows& rows, Axes axes = Axes::usual);

/// Adds `<path>_low` and `<path>_high`, the ends of intervals.
void add_intervals(ResultsFile& file, const std::string& path, const std::vector<Interval>& intervals);

/// The elements of all rows, one row after the other.
std::vector<float> floats_of(const Rows& rows);

/// The groups /top, /agreement, /steering and /cases, and the scores of single pairs (results_evidence.cpp).
void add_evidence(ResultsFile& file, const Job& job, const Outcome& outcome);

/// The group /provenance. Facts by rank are datasets: a list in an attribute ends at some thousands.
void add_provenance(ResultsFile& file, Provenance provenance);

/// The group /pairs (results_pairs.cpp).
void add_pairs(ResultsFile& file, const Job& job, const PerformanceOutcome& performance);

}  // namespace tributary::detail
