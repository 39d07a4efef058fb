// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The formulas are those of transformers 5 (modeling_rope_utils), there in float32.
#include "attribution/model/rotary.h"

#include "attribution/model/tensors.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/errors.h"

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

/// Dynamic NTK: in prompts longer than the model was trained on, theta grows with their length, so that the lowest
/// frequency is stretched by factor * length / original - (factor - 1) and the highest is kept.
double dynamic_theta(const Rotary& rotary, std::int64_t dims, std::int64_t length) {
  if (length <= rotary.original_positions) return rotary.theta;
  const double ratio = static_cast<double>(length) / static_cast<double>(rotary.original_positions);
  const double stretch = rotary.factor * ratio - (rotary.factor - 1);
  return rotary.theta * std::pow(stretch, static_cast<double>(dims) / static_cast<double>(dims - 2));
}

/// The pair of dimensions that turns so often within the original positions: i of original * theta^(-2i / dims) =
/// 2 pi turns.
double pair_that_turns(double turns, const Rotary& rotary, std::int64_t dims) {
  const double wavelength = static_cast<double>(rotary.original_positions) / (turns * 2 * std::numbers::pi);
  return static_cast<double>(dims) * std::log(wavelength) / (2 * std::log(rotary.theta));
}

/// YaRN (Peng et al. 2023, arXiv 2309.00071, section 3.2): pairs that turn more than beta_fast times within the
/// original positions are kept, those that turn less than beta_slow times are stretched by `factor`, and between them
/// the share of each grows with the pair's index.
double yarn_scaled(double frequency, std::int64_t pair, const Rotary& rotary, std::int64_t dims) {
  double low = pair_that_turns(rotary.beta_fast, rotary, dims);
  double high = pair_that_turns(rotary.beta_slow, rotary, dims);
  if (rotary.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dims - 1));
  if (low == high) high += 0.001;  // a step in place of a slope
  const double stretched = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
  return frequency / rotary.factor * stretched + frequency * (1 - stretched);
}

/// LongRoPE (Ding et al. 2024, arXiv 2402.13753): each wavelength has a factor of its own, and prompts that are longer
/// than the original positions have other ones.
double longrope_scaled(double frequency, std::int64_t pair, const Rotary& rotary, std::int64_t length) {
  const std::vector<double>& factors = length > rotary.original_positions ? rotary.long_factors : rotary.short_factors;
  return frequency / factors.at(static_cast<std::size_t>(pair));
}

double scaled(double frequency, std::int64_t pair, const Rotary& rotary, std::int64_t dims, std::int64_t length) {
  switch (rotary.scaling) {
    case RotaryScaling::none:
    case RotaryScaling::dynamic:  // in theta
      return frequency;
    case RotaryScaling::linear:
      return frequency / rotary.factor;
    case RotaryScaling::yarn:
      return yarn_scaled(frequency, pair, rotary, dims);
    case RotaryScaling::longrope:
      return longrope_scaled(frequency, pair, rotary, length);
    case RotaryScaling::llama3:
      return llama3_scaled(frequency, rotary);
  }
  throw ContractViolation("a rotary scaling outside the enumeration");
}

}  // namespace

at::Tensor rotary_frequencies(const Rotary& rotary, std::int64_t d_head, std::int64_t length) {
  const std::int64_t dims = rotary.dims == 0 ? d_head : rotary.dims;
  TRIBUTARY_EXPECT(dims <= d_head, "what turns is a part of the head");
  const double theta = rotary.scaling == RotaryScaling::dynamic ? dynamic_theta(rotary, dims, length) : rotary.theta;
  at::Tensor frequencies = at::empty({dims / 2}, at::kDouble);
  for (std::int64_t i = 0; i < dims / 2; ++i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dims));
    frequencies.data_ptr<double>()[i] = scaled(frequency, i, rotary, dims, length);
  }
  return frequencies;
}

RotaryTables rotary_tables(const Rotary& rotary, std::int64_t d_head, std::int64_t length,
                           const at::TensorOptions& options) {
  const at::Tensor frequencies = rotary_frequencies(rotary, d_head, length);
  const at::Tensor half = at::outer(at::arange(length, at::kDouble), frequencies);
  const at::Tensor angles = at::cat({half, half}, -1);  // [position, turned dimensions]
  return {(angles.cos() * rotary.attention_factor).to(options), (angles.sin() * rotary.attention_factor).to(options),
          d_head};
}

}  // namespace tributary
