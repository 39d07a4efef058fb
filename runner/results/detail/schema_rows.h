// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The rows of the results schema, by subject.
#pragma once

#include <string>
#include <vector>

#include "runner/results/schema.h"

namespace tributary::detail {

/// What a run computes in any case, or because of a key under `attribution`: /attribution and /cases.
std::vector<DatasetRow> attribution_rows();
/// What is done with the scores afterwards.
std::vector<DatasetRow> node_rows();  //!< of other kinds than neurons
std::vector<DatasetRow> top_rows();
std::vector<DatasetRow> circuit_rows();
std::vector<DatasetRow> agreement_rows();
std::vector<DatasetRow> steering_rows();
/// The prompts: /pairs.
std::vector<DatasetRow> pair_rows();
/// The ranks that computed: /provenance.
std::vector<DatasetRow> provenance_rows();

/// <group>/pair: the scale of an axis that counts the pairs of one split, so that they join with /pairs.
DatasetRow pair_scale(const std::string& group, const char* when);

std::vector<AttributeRow> attribute_rows();
std::vector<AttributeRow> node_attribute_rows();
std::vector<AxisRow> axis_rows();
std::vector<AxisRow> node_axis_rows();

/// Words for `when` that several rows share.
namespace when {
inline constexpr const char* spread = "attribution.spread: measure";
inline constexpr const char* keep_all = "attribution.keep: full";
inline constexpr const char* keep_largest = "attribution.keep: K";
inline constexpr const char* cases = "attribution.keep, and pairs of two cases or more";
inline constexpr const char* cases_of_neurons =
    "attribution.keep, and pairs of two cases or more, and `nodes` have neurons";
inline constexpr const char* neurons = "every method but input-ig";
inline constexpr const char* scored_neurons = "`nodes` have neurons, or method input-ig";
inline constexpr const char* other_kinds = "`nodes` have other kinds than neurons";
inline constexpr const char* names = "pairs.positions_names";
inline constexpr const char* circuit = "circuits were evaluated";
inline constexpr const char* areas = "circuits were evaluated, but for circuit.areas: false";
inline constexpr const char* held_out = "there are held-out pairs";
inline constexpr const char* agreement = "agreement.sample";
inline constexpr const char* steering = "steering.factors";
inline constexpr const char* pilot = "quadrature: pilot";
inline constexpr const char* imported = "method: imported";
inline constexpr const char* adaptive = "quadrature: adaptive";
}  // namespace when

}  // namespace tributary::detail
