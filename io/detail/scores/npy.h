// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// One .npy file (numpy/lib/format.py): magic bytes, version, the header's length, the header (a Python dict: descr,
// fortran_order, shape), the numbers.
#pragma once

#include <string>
#include <string_view>

#include "io/score_file.h"

namespace tributary::detail::scores {

/// Throws UserError about `file`.
ScoreArray read_npy(std::string_view bytes, const std::string& file);

}  // namespace tributary::detail::scores
