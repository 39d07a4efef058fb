// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Quadrature rules on [0, 1], 0 = baseline and 1 = clean (docs/methods.md).
#pragma once

#include <string>
#include <vector>

namespace tributary {

enum class Quadrature {
  left,              // (k-1)/n
  right,             // k/n
  midpoint,          // (k-1/2)/n
  trapezoid,         // (k-1)/(n-1), weights sum to 1
  trapezoid_captum,  // the same points, weights sum to (n-1)/n: Captum's, for parity only
  gauss_legendre,
  radau,     // 2 points, the right end included: 1/3 and 1
  simpson,   // 3 points
  boole,     // 5 points
  adaptive,  // nested equispaced points, until the residual is small enough
  pilot,     // the cheapest rule that met the tolerance on a few pairs
};

/// Points alpha_k, ascending, and their weights.
struct Nodes {
  std::vector<double> alpha;
  std::vector<double> weight;
};

/// The rule with n points. Throws UserError when the rule has no form with n points (trapezoid needs 2; radau, simpson
/// and boole have 2, 3 and 5), ContractViolation for adaptive and pilot, which choose their points as they go.
Nodes nodes_of(Quadrature rule, int n);

/// "gauss-legendre"
std::string name_of(Quadrature rule);
/// Names in table order.
std::vector<std::string> quadrature_names();
/// By name. ContractViolation when unknown.
Quadrature quadrature_named(const std::string& name);
/// Number of points of a rule that has only one form, else 0.
int fixed_points(Quadrature rule);

/// Gauss-Legendre on [-1, 1]: roots of the Legendre polynomial P_n by Newton's iteration (Abramowitz & Stegun 25.4.29).
Nodes gauss_legendre_symmetric(int n);

}  // namespace tributary
