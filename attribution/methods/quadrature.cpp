// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/methods/quadrature.h"

#include <array>
#include <cmath>
#include <numbers>

#include "common/errors.h"

namespace tributary {
namespace {

struct RuleRow {
  Quadrature rule;
  const char* name;
  int points;  //!< 0: any number
};

constexpr std::array<RuleRow, 11> rule_rows = {{
    {Quadrature::left, "left", 0},
    {Quadrature::right, "right", 0},
    {Quadrature::midpoint, "midpoint", 0},
    {Quadrature::trapezoid, "trapezoid", 0},
    {Quadrature::trapezoid_captum, "trapezoid-captum", 0},
    {Quadrature::gauss_legendre, "gauss-legendre", 0},
    {Quadrature::radau, "radau", 2},
    {Quadrature::simpson, "simpson", 3},
    {Quadrature::boole, "boole", 5},
    {Quadrature::adaptive, "adaptive", 0},
    {Quadrature::pilot, "pilot", 0},
}};

const RuleRow& row_of(Quadrature rule) {
  for (const RuleRow& row : rule_rows) {
    if (row.rule == rule) return row;
  }
  throw ContractViolation("a quadrature outside the table");
}

/// n points (k - 1 + offset) / intervals, equal weights 1 / n.
Nodes equispaced(int n, double offset, int intervals) {
  Nodes nodes;
  for (int k = 1; k <= n; ++k) {
    nodes.alpha.push_back((k - 1 + offset) / intervals);
    nodes.weight.push_back(1.0 / n);
  }
  return nodes;
}

Nodes trapezoid(int n, double weight) {
  if (n < 2) throw UserError("", "the trapezoid rule needs at least 2 points (both ends), not " + std::to_string(n));
  Nodes nodes = equispaced(n, 0, n - 1);
  for (double& w : nodes.weight) w = weight;
  nodes.weight.front() /= 2;
  nodes.weight.back() /= 2;
  return nodes;
}

Nodes gauss_legendre(int n) {
  Nodes nodes = gauss_legendre_symmetric(n);
  for (double& alpha : nodes.alpha) alpha = (1 + alpha) / 2;
  for (double& weight : nodes.weight) weight /= 2;
  return nodes;
}

}  // namespace

Nodes gauss_legendre_symmetric(int n) {
  Nodes nodes{std::vector<double>(static_cast<std::size_t>(n)), std::vector<double>(static_cast<std::size_t>(n))};
  for (int i = 0; i < (n + 1) / 2; ++i) {
    double x = std::cos(std::numbers::pi * (i + 0.75) / (n + 0.5));
    double slope = 0;
    for (int iteration = 0; iteration < 100; ++iteration) {
      double previous = 0;
      double value = 1;  // P_0
      for (int j = 1; j <= n; ++j) {
        const double next = ((2.0 * j - 1) * x * value - (j - 1.0) * previous) / j;
        previous = value;
        value = next;
      }
      slope = n * (x * value - previous) / (x * x - 1);
      const double step = value / slope;
      x -= step;
      if (std::abs(step) < 1e-15) break;
    }
    const double weight = 2 / ((1 - x * x) * slope * slope);
    const auto low = static_cast<std::size_t>(i);
    const auto high = static_cast<std::size_t>(n - 1 - i);
    nodes.alpha[low] = -x;
    nodes.alpha[high] = x;
    nodes.weight[low] = nodes.weight[high] = weight;
  }
  if (n % 2 == 1) nodes.alpha[static_cast<std::size_t>(n / 2)] = 0;
  return nodes;
}

Nodes nodes_of(Quadrature rule, int n) {
  const RuleRow& row = row_of(rule);
  if (n < 1)
    throw UserError("", std::string("quadrature ") + row.name + " needs at least 1 point, not " + std::to_string(n));
  if (row.points != 0 && n != row.points) {
    throw UserError("", std::string("quadrature ") + row.name + " has exactly " + std::to_string(row.points) +
                            " points, not " + std::to_string(n));
  }
  switch (rule) {
    case Quadrature::left:
      return equispaced(n, 0, n);
    case Quadrature::right:
      return equispaced(n, 1, n);
    case Quadrature::midpoint:
      return equispaced(n, 0.5, n);
    case Quadrature::trapezoid:
      return trapezoid(n, 1.0 / (n - 1));
    case Quadrature::trapezoid_captum:
      return trapezoid(n, 1.0 / n);
    case Quadrature::gauss_legendre:
      return gauss_legendre(n);
    case Quadrature::radau:
      return {{1.0 / 3, 1.0}, {0.75, 0.25}};
    case Quadrature::simpson:
      return {{0, 0.5, 1}, {1.0 / 6, 4.0 / 6, 1.0 / 6}};
    case Quadrature::boole:
      return {{0, 0.25, 0.5, 0.75, 1}, {7.0 / 90, 32.0 / 90, 12.0 / 90, 32.0 / 90, 7.0 / 90}};
    case Quadrature::adaptive:
    case Quadrature::pilot:
      break;
  }
  throw ContractViolation(std::string(row.name) + " has no fixed points");
}

std::string name_of(Quadrature rule) { return row_of(rule).name; }

std::vector<std::string> quadrature_names() {
  std::vector<std::string> names;
  for (const RuleRow& row : rule_rows) names.emplace_back(row.name);
  return names;
}

Quadrature quadrature_named(const std::string& name) {
  for (const RuleRow& row : rule_rows) {
    if (name == row.name) return row.rule;
  }
  throw ContractViolation("no quadrature is named " + name);
}

int fixed_points(Quadrature rule) { return row_of(rule).points; }

}  // namespace tributary
