// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What the loops of cpu_kernels.inl share: the kinds of numbers they read and write, e^x without a call, and the
// activations with their slopes. Only cpu_kernels.inl may include it: its names belong to one instruction set.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "attribution/model/detail/cpu_kernels.h"

namespace tributary::detail {
namespace {

inline float wide(float x) { return x; }
inline double wide(double x) { return x; }
inline float wide(Bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

template <typename T>
struct Narrow {
  template <typename S>
  static T from(S x) {
    return static_cast<T>(x);
  }
};
template <>
struct Narrow<Bf16> {
  static Bf16 from(float x) {  // to nearest, ties to even; NaN stays NaN
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    return {static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? (bits >> 16) | 0x40U : rounded)};
  }
};

template <typename T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<Bf16> {
  using type = float;
};

/// The bits of a number, and those of its exponent, which are all set in NaN and infinities alone.
template <typename T>
struct Exponent;
template <>
struct Exponent<float> {
  using Bits = std::uint32_t;
  static constexpr Bits mask = 0x7F800000U;
};
template <>
struct Exponent<double> {
  using Bits = std::uint64_t;
  static constexpr Bits mask = 0x7FF0000000000000U;
};
template <>
struct Exponent<Bf16> {
  using Bits = std::uint16_t;
  static constexpr Bits mask = 0x7F80U;
};

template <typename T>
bool all_finite(const T* numbers, std::int64_t count) {
  using Bits = typename Exponent<T>::Bits;
  constexpr Bits mask = Exponent<T>::mask;
  Bits special = 0;
#pragma omp simd reduction(| : special)
  for (std::int64_t i = 0; i < count; ++i) {
    special |= static_cast<Bits>((std::bit_cast<Bits>(numbers[i]) & mask) == mask ? 1 : 0);
  }
  return special == 0;
}

/// e^x in float32 to 2 ulp, without a call so that loops vectorise: 2^n times a Taylor polynomial on |r| <= ln(2)/2.
inline float exponential(float x) {
  x = x < -87.0F ? -87.0F : x > 88.0F ? 88.0F : x;
  const auto n = static_cast<std::int32_t>(x * 1.44269504F + (x < 0 ? -0.5F : 0.5F));
  const auto whole = static_cast<float>(n);
  const float r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;  // ln 2 in two parts (Cody & Waite)
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  return p * std::bit_cast<float>((n + 127) << 23);
}
inline double exponential(double x) { return std::exp(x); }

template <typename S>
inline S logistic(S x) {
  return S(1) / (S(1) + exponential(-x));
}

template <typename S>
inline S hyperbolic_tangent(S x) {
  return S(2) * logistic(S(2) * x) - S(1);
}
template <>
inline double hyperbolic_tangent(double x) {
  return std::tanh(x);
}

/// act(z) = z * coefficient(z), and act'(z).
template <typename S>
struct Activated {
  S coefficient, slope;
};

template <Activation activation, typename S>
inline Activated<S> activated(S z) {
  constexpr S tanh_scale = S(0.79788456080286535588);  // sqrt(2 / pi)
  if constexpr (activation == Activation::silu) {
    const S s = logistic(z);
    return {s, s * (S(1) + z * (S(1) - s))};
  } else if constexpr (activation == Activation::gelu_erf) {
    const S phi = S(0.5) * (S(1) + std::erf(z * S(0.70710678118654752440)));
    const S density = S(0.39894228040143267794) * exponential(S(-0.5) * z * z);
    return {phi, phi + z * density};
  } else if constexpr (activation == Activation::gelu_tanh) {
    const S t = hyperbolic_tangent(tanh_scale * (z + S(0.044715) * z * z * z));
    const S inner = tanh_scale * (S(1) + S(3 * 0.044715) * z * z);
    return {S(0.5) * (S(1) + t), S(0.5) * (S(1) + t) + S(0.5) * z * (S(1) - t * t) * inner};
  } else if constexpr (activation == Activation::gelu_quick) {
    const S s = logistic(S(1.702) * z);
    return {s, s * (S(1) + S(1.702) * z * (S(1) - s))};
  } else {
    return {z > 0 ? S(1) : S(0), z > 0 ? S(1) : S(0)};
  }
}

}  // namespace
}  // namespace tributary::detail
