// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "runner/report/detail/mean_magnitude.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "runner/report/detail/results_access.h"

namespace tributary::detail {

MeanMagnitude mean_magnitude(const Dataset* table) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (table == nullptr) return {none, none, 0, {}};
  const std::vector<float>& all = values<float>(*table);
  const auto columns = static_cast<std::size_t>(table->shape.back());
  MeanMagnitude found;
  found.columns.resize(columns, 0.0);
  std::vector<double> of_pair;
  for (std::size_t first = 0; first + columns <= all.size() && columns > 0; first += columns) {
    if (std::isnan(all[first])) continue;
    double sum = 0;
    for (std::size_t column = 0; column < columns; ++column) {
      const double magnitude = std::abs(static_cast<double>(all[first + column]));
      sum += magnitude;
      found.columns[column] += magnitude;
    }
    of_pair.push_back(sum / static_cast<double>(columns));
  }
  const auto pairs = static_cast<double>(of_pair.size());
  found.pairs = std::ssize(of_pair);
  found.mean = std::accumulate(of_pair.begin(), of_pair.end(), 0.0) / pairs;
  for (double& column : found.columns) column /= pairs;
  double squares = 0;
  for (const double one : of_pair) squares += (one - found.mean) * (one - found.mean);
  found.standard_error = found.pairs < 2 ? none : std::sqrt(squares / (pairs - 1) / pairs);
  return found;
}

}  // namespace tributary::detail
