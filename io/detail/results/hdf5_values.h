// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Shapes and values of datasets, of a file that may be forged: nothing is taken on trust that asks for memory, for
// other files or for code from elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/detail/results/hdf5.h"
#include "io/results.h"

namespace tributary::hdf5 {

/// Throws Failure: "cannot <doing> (…)".
std::vector<std::int64_t> read_shape(const DatasetHandle& handle, const std::string& doing);

/// The values of a dataset of that shape. file_bytes: of the whole file. Throws Failure: likewise, also where it is
/// stored as results files are not.
Values read_values(const DatasetHandle& handle, const std::vector<std::int64_t>& shape, std::size_t file_bytes,
                   const std::string& doing);

}  // namespace tributary::hdf5
