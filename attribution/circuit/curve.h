// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Faithfulness and completeness from metrics of circuits (Marks et al. 2024; docs/methods.md), and the
// areas CPR and CMD (Mueller et al. 2025, MIB). Plain numbers: no tensors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tributary {

/// Metrics averaged over the evaluation pairs.
struct ReferenceMetrics {
  double full = 0;   //!< F(M), logits: nothing ablated
  double empty = 0;  //!< F(empty), logits: every node ablated
};

/// |F(M) - F(empty)| below this many logits makes the ratios meaningless: they are NaN then.
inline constexpr double smallest_effect = 0.05;

/// Whether the ratios mean anything.
bool measurable(const ReferenceMetrics& reference);

/// (F(·) - F(empty)) / (F(M) - F(empty)): faithfulness of F(C), completeness of F(M \ C). NaN when not measurable.
double normalised(double metric, const ReferenceMetrics& reference);

/// Mean in the order given, float64.
double mean_of(std::span<const double> values);

/// Area under values over fractions by the trapezoid rule, linear axis, ends ascending.
double trapezoid_area(std::span<const double> fractions, std::span<const double> values);

/// The fractions of nodes at which CPR and CMD are computed.
inline constexpr double area_fractions[] = {.001, .002, .005, .01, .02, .05, .1, .2, .5, 1};

}  // namespace tributary
