// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/rotary.h"

#include "attribution/model/tensors.h"

#include <cmath>
#include <numbers>

namespace tributary {
namespace {

/// Llama-3: long wavelengths are stretched by `factor`, short ones kept, those between blended
/// (transformers, modeling_rope_utils, _compute_llama3_parameters).
double llama3_scaled(double frequency, const Rotary& rotary) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const auto original = static_cast<double>(rotary.original_positions);
  if (wavelength > original / rotary.low_frequency_factor) return frequency / rotary.factor;
  if (wavelength < original / rotary.high_frequency_factor) return frequency;
  const double smooth = (original / wavelength - rotary.low_frequency_factor) /
                        (rotary.high_frequency_factor - rotary.low_frequency_factor);
  return (1 - smooth) * frequency / rotary.factor + smooth * frequency;
}

}  // namespace

at::Tensor rotary_frequencies(const Rotary& rotary, std::int64_t d_head) {
  at::Tensor frequencies = at::empty({d_head / 2}, at::kDouble);
  for (std::int64_t i = 0; i < d_head / 2; ++i) {
    double frequency = std::pow(rotary.theta, -2.0 * static_cast<double>(i) / static_cast<double>(d_head));
    if (rotary.scaling == RotaryScaling::linear) frequency /= rotary.factor;
    if (rotary.scaling == RotaryScaling::llama3) frequency = llama3_scaled(frequency, rotary);
    frequencies.data_ptr<double>()[i] = frequency;
  }
  return frequencies;
}

RotaryTables rotary_tables(const Rotary& rotary, std::int64_t d_head, std::int64_t positions,
                           const at::TensorOptions& options) {
  const at::Tensor half = at::outer(at::arange(positions, at::kDouble), rotary_frequencies(rotary, d_head));
  const at::Tensor angles = at::cat({half, half}, -1);  // [positions, d_head]
  return {angles.cos().to(options), angles.sin().to(options)};
}

}  // namespace tributary
