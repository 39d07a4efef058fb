// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The loops that take a row by itself: norms, the gate of an MLP, rotary positions, and what a circuit replaces. Only
// cpu_kernels.inl may include it.
#pragma once

#include <cmath>
#include <cstdint>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/cpu_kernels_numbers.inl"

namespace tributary::detail {
namespace {

template <typename S, typename T>
void normalise_row(const NormArguments<S, T>& a, std::int64_t row) {
  S* h = a.stream.data + row * a.stream.stride;
  if (a.addend.data != nullptr) {
    const S* base = a.addend_base.data + row * a.addend_base.stride;
    const T* y = a.addend.data + row * a.addend.stride;
    for (std::int64_t i = 0; i < a.width; ++i) h[i] = base[i] + wide(y[i]);
  }
  if (a.normalised.data == nullptr) return;
  const S width = static_cast<S>(a.width);
  S mean = 0;
  if (a.centred) {
    S sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < a.width; ++i) sum += h[i];
    mean = sum / width;
  }
  S squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < a.width; ++i) squares += (h[i] - mean) * (h[i] - mean);
  const S inverse = S(1) / std::sqrt(squares / width + a.epsilon);
  a.mean_rstd[2 * row] = mean;
  a.mean_rstd[2 * row + 1] = inverse;
  T* x = a.normalised.data + row * a.normalised.stride;
  if (a.bias == nullptr) {
    for (std::int64_t i = 0; i < a.width; ++i) {
      x[i] = Narrow<T>::from((h[i] - mean) * inverse * (wide(a.weight[i]) + a.gain_offset));
    }
  } else {
    for (std::int64_t i = 0; i < a.width; ++i) {
      x[i] = Narrow<T>::from((h[i] - mean) * inverse * (wide(a.weight[i]) + a.gain_offset) + wide(a.bias[i]));
    }
  }
}

template <typename S, typename T>
void normalise(const NormArguments<S, T>& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) normalise_row(a, row);
}

template <typename S, typename T>
void normalise_backward(const NormBackwardArguments<S, T>& a) {
  const S width = static_cast<S>(a.width);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const S* h = a.stream.data + row * a.stream.stride;
    const T* g = a.gradient.data + row * a.gradient.stride;
    S* out = a.stream_gradient.data + row * a.stream_gradient.stride;
    const S mean = a.mean_rstd[2 * row];
    const S inverse = a.mean_rstd[2 * row + 1];
    S along = 0;  // mean of gradient times unit vector
    S level = 0;  // mean of gradient
    if (!a.frozen_denominator) {
#pragma omp simd reduction(+ : along)
      for (std::int64_t i = 0; i < a.width; ++i) {
        along += wide(g[i]) * (wide(a.weight[i]) + a.gain_offset) * (h[i] - mean);
      }
      along *= inverse / width;
    }
    if (a.centred) {
#pragma omp simd reduction(+ : level)
      for (std::int64_t i = 0; i < a.width; ++i) level += wide(g[i]) * (wide(a.weight[i]) + a.gain_offset);
      level /= width;  // the unit vector of a LayerNorm has mean 0
    }
    for (std::int64_t i = 0; i < a.width; ++i) {
      const S gain = wide(a.weight[i]) + a.gain_offset;
      out[i] += inverse * (wide(g[i]) * gain - level - along * inverse * (h[i] - mean));
    }
    if (a.copy.data != nullptr) {
      T* copy = a.copy.data + row * a.copy.stride;
      for (std::int64_t i = 0; i < a.width; ++i) copy[i] = Narrow<T>::from(out[i]);
    }
  }
}

template <Activation activation, typename T>
void gate_with(const GateArguments<T>& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* z = a.pre_activations.data + row * a.pre_activations.stride;
    const T* u = z + a.neurons;
    T* out = a.neurons_out.data + row * a.neurons_out.stride;
    if (a.gated) {
      for (std::int64_t i = 0; i < a.neurons; ++i) {
        const auto x = wide(z[i]);
        out[i] = Narrow<T>::from(x * activated<activation>(x).coefficient * wide(u[i]));
      }
    } else {
      for (std::int64_t i = 0; i < a.neurons; ++i) {
        const auto x = wide(z[i]);
        out[i] = Narrow<T>::from(x * activated<activation>(x).coefficient);
      }
    }
  }
}

template <Activation activation, typename T>
void gate_backward_with(const GateArguments<T>& a) {
  using S = typename Accumulator<T>::type;
  const S share = static_cast<S>(a.share);
  const S kept = a.frozen_coefficient ? S(0) : S(1);  // of the slope; the rest is the coefficient's
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* z = a.pre_activations.data + row * a.pre_activations.stride;
    const T* u = z + a.neurons;
    const T* g = a.gradient.data + row * a.gradient.stride;
    T* dz = a.pre_activations_gradient.data + row * a.pre_activations_gradient.stride;
    T* du = dz + a.neurons;
    T* out = a.neurons_out.data == nullptr ? nullptr : a.neurons_out.data + row * a.neurons_out.stride;
    if (out != nullptr) {  // before dz may overwrite z
      for (std::int64_t i = 0; i < a.neurons; ++i) {
        const S x = wide(z[i]);
        const S act = x * activated<activation>(x).coefficient;
        out[i] = Narrow<T>::from(a.gated ? act * wide(u[i]) : act);
      }
    }
    if (a.gated) {
#pragma omp simd
      for (std::int64_t i = 0; i < a.neurons; ++i) {
        const S x = wide(z[i]);
        const S other = wide(u[i]);
        const S gradient = share * wide(g[i]);
        const Activated<S> f = activated<activation>(x);
        dz[i] = Narrow<T>::from(gradient * other * (f.coefficient + kept * (f.slope - f.coefficient)));
        du[i] = Narrow<T>::from(gradient * x * f.coefficient);
      }
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < a.neurons; ++i) {
        const Activated<S> f = activated<activation>(static_cast<S>(wide(z[i])));
        dz[i] = Narrow<T>::from(wide(g[i]) * (f.coefficient + kept * (f.slope - f.coefficient)));
      }
    }
  }
}

template <typename T>
void gate(const GateArguments<T>& a) {
  switch (a.activation) {
    case Activation::silu:
      return gate_with<Activation::silu>(a);
    case Activation::gelu_erf:
      return gate_with<Activation::gelu_erf>(a);
    case Activation::gelu_tanh:
      return gate_with<Activation::gelu_tanh>(a);
    case Activation::gelu_quick:
      return gate_with<Activation::gelu_quick>(a);
    case Activation::relu:
      return gate_with<Activation::relu>(a);
  }
}

template <typename T>
void gate_backward(const GateArguments<T>& a) {
  switch (a.activation) {
    case Activation::silu:
      return gate_backward_with<Activation::silu>(a);
    case Activation::gelu_erf:
      return gate_backward_with<Activation::gelu_erf>(a);
    case Activation::gelu_tanh:
      return gate_backward_with<Activation::gelu_tanh>(a);
    case Activation::gelu_quick:
      return gate_backward_with<Activation::gelu_quick>(a);
    case Activation::relu:
      return gate_backward_with<Activation::relu>(a);
  }
}

template <typename S, typename T>
void rotate(const RotateArguments<S, T>& a) {
  const std::int64_t half = a.dims / 2;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const std::int64_t position = a.first_position + row % a.positions;
    const S* cosine = a.cosine + position * a.dims;
    const S* sine = a.sine + position * a.dims;
    for (std::int64_t head = 0; head < a.heads; ++head) {
      T* first = a.x.data + row * a.x.stride + head * a.head;
      T* second = first + half;
#pragma omp simd
      for (std::int64_t i = 0; i < half; ++i) {
        const S x = wide(first[i]);
        const S y = wide(second[i]);
        const S s = a.direction * sine[i];
        first[i] = Narrow<T>::from(x * cosine[i] - y * s);
        second[i] = Narrow<T>::from(y * cosine[i] + x * s);
      }
    }
  }
}

template <typename T>
void ablate(const AblateArguments<T>& a) {
  for (std::int64_t s = 0; s < a.sequences; ++s) {
    const std::int32_t kept = a.kept[s];
    const bool complement = a.complement[s];
    for (std::int64_t from_end = 0; from_end < a.positions; ++from_end) {
      T* x = a.a.row(s, from_end);
      const std::int32_t* rank = a.ranks.row(a.ranking[s], from_end);
      const T* value = a.values.row(a.pair[s], from_end);
#pragma omp simd
      for (std::int64_t i = 0; i < a.neurons; ++i) x[i] = (rank[i] < kept) != complement ? x[i] : value[i];
    }
  }
}

template <typename T>
void add_rows(const AddRowsArguments<T>& a) {
  double* const out = a.out;
  for (std::int64_t e = 0; e < a.count; ++e) {
    const T* const row = a.matrix.from(a.row[e]).data;
    const double factor = a.factor[e];
#pragma omp simd
    for (std::int64_t i = 0; i < a.width; ++i) out[i] += factor * static_cast<double>(wide(row[i]));
  }
}

}  // namespace
}  // namespace tributary::detail
