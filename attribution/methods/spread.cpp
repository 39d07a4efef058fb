// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/spread.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tributary {

double standard_error(double sum, double squares, std::int64_t pairs) {
  if (pairs < 2 || std::isnan(squares)) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(pairs);
  const double variance = std::max(0.0, squares - sum * sum / n) / (n - 1);  // rounding may leave less than nothing
  return std::sqrt(variance / n);
}

double sign_share(double sum, double signs, std::int64_t pairs) {
  if (std::isnan(sum)) return sum;
  const double negative = std::floor(signs / negative_sign);
  const double positive = signs - negative * negative_sign;
  const auto n = static_cast<double>(pairs);
  const double same = sum > 0 ? positive : sum < 0 ? negative : n - positive - negative;
  return same / n;
}

}  // namespace tributary
