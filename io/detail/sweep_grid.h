// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The grid of a sweep: which axes it has once file and command line are put together, its points in order,
// and a folder name for each.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "io/detail/layer.h"

namespace tributary::detail {

enum class Source { file, command_line };

struct SweepAxis {
  Axis axis;
  Source source = Source::file;
};

/// The axes of the file, without those that the command line sets to one value and with those that it replaces in
/// place; then the command line's own.
std::vector<SweepAxis> combine_axes(const KeyTable& table, const Layer& file, const Layer& command_line);

/// Product of the axes' lengths, or `most` + 1 when it is larger than `most`.
std::size_t count_runs(const std::vector<SweepAxis>& axes, std::size_t most);

/// Index into each axis of run number `run`; the last axis is the fastest.
std::vector<std::size_t> point_of_run(const std::vector<SweepAxis>& axes, std::size_t run);

/// A folder name for every run in order, all different; empty when there is one run.
std::vector<std::string> label_runs(const std::vector<SweepAxis>& axes);

}  // namespace tributary::detail
