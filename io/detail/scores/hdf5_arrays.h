// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Arrays of numbers in an HDF5 file that another program wrote: without the seal, the names and the axes of ours.
#pragma once

#include <string>
#include <vector>

#include "io/score_file.h"

namespace tributary::detail::scores {

/// The datasets at these paths that are there, in their order. `image`: the file's bytes. Links into other files are
/// not followed. Throws UserError about `file`: no HDF5 file, damaged, other numbers than float32 and float64.
std::vector<ScoreArray> read_hdf5_arrays(const std::string& image, const std::vector<std::string>& paths,
                                         const std::string& file);

}  // namespace tributary::detail::scores
