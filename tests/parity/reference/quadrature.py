# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Quadrature rules on [0, 1]: points alpha_k (0: baseline, 1: clean end) and weights w_k."""

from __future__ import annotations

import numpy as np

RULES = ("left", "right", "midpoint", "trapezoid", "trapezoid-captum", "gauss-legendre")


def _trapezoid(n: int, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """n points with both ends, weight `spacing` each and the ends halved: two arrays [n]."""
    if n < 2:
        raise ValueError("the trapezoid rule needs at least two points")
    weights = np.full(n, spacing)
    weights[[0, -1]] /= 2
    return np.arange(n) / (n - 1), weights


def points_and_weights(rule: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n points and n weights of a rule, both float64 [n]."""
    if n < 1:
        raise ValueError("a quadrature rule needs at least one point")
    k = np.arange(1, n + 1, dtype=np.float64)
    even = np.full(n, 1 / n)
    if rule == "left":
        return (k - 1) / n, even
    if rule == "right":
        return k / n, even
    if rule == "midpoint":
        return (k - 0.5) / n, even
    if rule == "trapezoid":
        return _trapezoid(n, 1 / (n - 1) if n > 1 else 0.0)
    if rule == "trapezoid-captum":
        return _trapezoid(n, 1 / n)
    if rule == "gauss-legendre":
        x, w = np.polynomial.legendre.leggauss(n)
        return (1 + x) / 2, w / 2
    raise ValueError(f"unknown quadrature rule {rule!r}; the rules are {', '.join(RULES)}")
