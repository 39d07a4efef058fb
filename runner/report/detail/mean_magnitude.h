// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How large the numbers of a table of pairs are, where not all pairs were measured.
#pragma once

#include <cstdint>
#include <vector>

#include "io/results.h"

namespace tributary::detail {

/// Mean |number| over the pairs that were measured.
struct MeanMagnitude {
  double mean = 0;              //!< NaN where none was
  double standard_error = 0;    //!< of the mean over pairs; NaN of fewer than two
  std::int64_t pairs = 0;       //!< that were measured: a row that begins with NaN was not
  std::vector<double> columns;  //!< the mean of each column; empty where there is no table
};

/// table [pair, column], float32; null: of no pairs.
MeanMagnitude mean_magnitude(const Dataset* table);

}  // namespace tributary::detail
