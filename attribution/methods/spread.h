// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// How far a node's score differs from pair to pair, from sums over the pairs: n pairs, sum of scores s, of squares q,
// and a count of signs. Knows no tensors, so that whoever holds the sums can ask.
#pragma once

#include <cstdint>

namespace tributary {

/// A pair's sign as a number whose sums count both signs, exactly for fewer than 2^26 pairs: 1 for a positive score,
/// this for a negative one, 0 for none.
inline constexpr double negative_sign = 67'108'864;  // 2^26

/// sqrt(variance / n) of the mean score, with variance = (q - s^2 / n) / (n - 1); NaN for fewer than two pairs.
double standard_error(double sum, double squares, std::int64_t pairs);

/// Share of the pairs whose score has the sign of the mean (a mean of 0: whose score is 0); NaN where the sum is.
double sign_share(double sum, double signs, std::int64_t pairs);

}  // namespace tributary
