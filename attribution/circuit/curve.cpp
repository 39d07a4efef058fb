// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/circuit/curve.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "common/errors.h"

namespace tributary {

bool measurable(const ReferenceMetrics& reference) {
  return std::abs(reference.full - reference.empty) >= smallest_effect;
}

double normalised(double metric, const ReferenceMetrics& reference) {
  if (!measurable(reference)) return std::numeric_limits<double>::quiet_NaN();
  return (metric - reference.empty) / (reference.full - reference.empty);
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double trapezoid_area(std::span<const double> fractions, std::span<const double> values) {
  TRIBUTARY_EXPECT(fractions.size() == values.size(), "one value a fraction");
  double area = 0;
  for (std::size_t i = 1; i < fractions.size(); ++i) {
    area += (fractions[i] - fractions[i - 1]) * (values[i] + values[i - 1]) / 2;
  }
  return area;
}

}  // namespace tributary
