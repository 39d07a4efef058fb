// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The loops of cpu_kernels.h, included once per instruction set by files that define TRIBUTARY_KERNEL_SET. All of it
// has internal linkage, or one set's code would be linked in place of another's.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>

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
  } else {
    return {z > 0 ? S(1) : S(0), z > 0 ? S(1) : S(0)};
  }
}

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
      x[i] = Narrow<T>::from((h[i] - mean) * inverse * wide(a.weight[i]));
    }
  } else {
    for (std::int64_t i = 0; i < a.width; ++i) {
      x[i] = Narrow<T>::from((h[i] - mean) * inverse * wide(a.weight[i]) + wide(a.bias[i]));
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
      for (std::int64_t i = 0; i < a.width; ++i) along += wide(g[i]) * wide(a.weight[i]) * (h[i] - mean);
      along *= inverse / width;
    }
    if (a.centred) {
#pragma omp simd reduction(+ : level)
      for (std::int64_t i = 0; i < a.width; ++i) level += wide(g[i]) * wide(a.weight[i]);
      level /= width;  // the unit vector of a LayerNorm has mean 0
    }
    for (std::int64_t i = 0; i < a.width; ++i) {
      out[i] += inverse * (wide(g[i]) * wide(a.weight[i]) - level - along * inverse * (h[i] - mean));
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
    case Activation::relu:
      return gate_backward_with<Activation::relu>(a);
  }
}

template <typename S, typename T>
void rotate(const RotateArguments<S, T>& a) {
  const std::int64_t half = a.head / 2;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const std::int64_t position = a.first_position + row % a.positions;
    const S* cosine = a.cosine + position * a.head;
    const S* sine = a.sine + position * a.head;
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

template <typename S>
inline S dot(const S* x, const S* y, std::int64_t n) {
  S sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

template <typename S>
inline void add_scaled(S* sum, const S* x, S factor, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) sum[i] += factor * x[i];
}

/// One head of one sequence at a time, in S; scratch for its keys, values, queries and their gradients.
template <typename S, typename T>
class Head {
 public:
  explicit Head(const AttentionArguments<S, T>& a)
      : a_(a), length_(a.prefix_length + a.suffix), store_(new S[static_cast<std::size_t>(size())]) {
    S* next = store_.get();
    const auto take = [&next](std::int64_t n) {
      S* piece = next;
      next += n;
      return piece;
    };
    key_ = take(length_ * a.head);
    value_ = take(length_ * a.head);
    key_gradient_ = take(a.suffix * a.head);
    value_gradient_ = take(a.suffix * a.head);
    query_ = take(a.head);
    gradient_ = take(a.head);
    out_ = take(a.head);
    pattern_ = take(length_);
    pattern_gradient_ = take(length_);
  }

  void forward() {
    for (std::int64_t s = 0; s < a_.sequences; ++s) {
      for (std::int64_t kv = 0; kv < a_.kv_heads; ++kv) {
        load_keys(s, kv);
        for (std::int64_t head = kv * group(); head < (kv + 1) * group(); ++head) {
          for (std::int64_t q = 0; q < a_.queries; ++q) {
            const std::int64_t row = s * a_.queries + q;
            load(query_, a_.query.data + row * a_.query.stride + head * a_.head);
            attend(q);
            for (std::int64_t i = 0; i < a_.head; ++i) out_[i] = 0;
            for (std::int64_t k = first(q); k <= position(q); ++k) {
              add_scaled(out_, value_ + k * a_.head, pattern_[k], a_.head);
            }
            store(a_.z.data + row * a_.z.stride + head * a_.head, out_);
          }
        }
      }
    }
  }

  void backward() {
    for (std::int64_t s = 0; s < a_.sequences; ++s) {
      for (std::int64_t kv = 0; kv < a_.kv_heads; ++kv) {
        load_keys(s, kv);
        for (std::int64_t i = 0; i < 2 * a_.suffix * a_.head; ++i) key_gradient_[i] = 0;  // and of the values, behind
        for (std::int64_t head = kv * group(); head < (kv + 1) * group(); ++head) {
          for (std::int64_t q = 0; q < a_.queries; ++q) query_backward(s, head, q);
        }
        for (std::int64_t k = 0; k < a_.suffix; ++k) {
          const std::int64_t row = s * a_.suffix + k;
          store(a_.key_gradient.data + row * a_.key_gradient.stride + kv * a_.head, key_gradient_ + k * a_.head);
          store(a_.value_gradient.data + row * a_.value_gradient.stride + kv * a_.head, value_gradient_ + k * a_.head);
        }
      }
    }
  }

 private:
  [[nodiscard]] std::int64_t size() const { return (2 * length_ + 2 * a_.suffix + 3) * a_.head + 2 * length_; }
  [[nodiscard]] std::int64_t group() const { return a_.heads / a_.kv_heads; }
  [[nodiscard]] std::int64_t position(std::int64_t q) const { return length_ - a_.queries + q; }
  [[nodiscard]] std::int64_t first(std::int64_t q) const {
    const std::int64_t earliest = a_.window == 0 ? 0 : position(q) + 1 - a_.window;
    return earliest < 0 ? 0 : earliest;
  }

  void load(S* to, const T* from) const {
    for (std::int64_t i = 0; i < a_.head; ++i) to[i] = wide(from[i]);
  }
  void store(T* to, const S* from) const {
    for (std::int64_t i = 0; i < a_.head; ++i) to[i] = Narrow<T>::from(from[i]);
  }

  void load_keys(std::int64_t s, std::int64_t kv) {
    for (std::int64_t k = 0; k < length_; ++k) {
      const bool prefix = k < a_.prefix_length;
      const std::int64_t row = prefix ? a_.pair[s] * a_.prefix_length + k : s * a_.suffix + k - a_.prefix_length;
      const Rows<const T>& keys = prefix ? a_.prefix_key : a_.key;
      const Rows<const T>& values = prefix ? a_.prefix_value : a_.value;
      load(key_ + k * a_.head, keys.data + row * keys.stride + kv * a_.head);
      load(value_ + k * a_.head, values.data + row * values.stride + kv * a_.head);
    }
  }

  /// The attention pattern of the loaded query at place q.
  void attend(std::int64_t q) {
    S largest = -std::numeric_limits<S>::infinity();
    for (std::int64_t k = first(q); k <= position(q); ++k) {
      pattern_[k] = a_.scale * dot(query_, key_ + k * a_.head, a_.head);
      largest = pattern_[k] > largest ? pattern_[k] : largest;
    }
    S sum = 0;
    for (std::int64_t k = first(q); k <= position(q); ++k) {
      pattern_[k] = exponential(pattern_[k] - largest);
      sum += pattern_[k];
    }
    for (std::int64_t k = first(q); k <= position(q); ++k) pattern_[k] /= sum;
  }

  void query_backward(std::int64_t s, std::int64_t head, std::int64_t q) {
    const std::int64_t row = s * a_.queries + q;
    load(query_, a_.query.data + row * a_.query.stride + head * a_.head);
    load(gradient_, a_.gradient.data + row * a_.gradient.stride + head * a_.head);
    attend(q);
    S along = 0;
    for (std::int64_t k = first(q); k <= position(q); ++k) {
      pattern_gradient_[k] = dot(gradient_, value_ + k * a_.head, a_.head);
      along += pattern_[k] * pattern_gradient_[k];
    }
    for (std::int64_t i = 0; i < a_.head; ++i) out_[i] = 0;
    for (std::int64_t k = first(q); k <= position(q); ++k) {
      const std::int64_t own = k - a_.prefix_length;
      if (own >= 0) add_scaled(value_gradient_ + own * a_.head, gradient_, pattern_[k], a_.head);
      if (a_.frozen_pattern) continue;
      const S score_gradient = a_.scale * pattern_[k] * (pattern_gradient_[k] - along);
      add_scaled(out_, key_ + k * a_.head, score_gradient, a_.head);
      if (own >= 0) add_scaled(key_gradient_ + own * a_.head, query_, score_gradient, a_.head);
    }
    store(a_.query_gradient.data + row * a_.query_gradient.stride + head * a_.head, out_);
  }

  const AttentionArguments<S, T>& a_;
  std::int64_t length_;
  std::unique_ptr<S[]> store_;
  S *key_, *value_, *key_gradient_, *value_gradient_, *query_, *gradient_, *out_, *pattern_, *pattern_gradient_;
};

template <typename S, typename T>
void attention(const AttentionArguments<S, T>& a) {
  Head<S, T>(a).forward();
}

template <typename S, typename T>
void attention_backward(const AttentionArguments<S, T>& a) {
  Head<S, T>(a).backward();
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

template <typename S, typename T>
constexpr CpuKernels<S, T> kernels_for() {
  return {normalise<S, T>, normalise_backward<S, T>, gate<T>,  gate_backward<T>, rotate<S, T>,
          attention<S, T>, attention_backward<S, T>, ablate<T>};
}

}  // namespace

extern const CpuKernelTable TRIBUTARY_KERNEL_SET;
const CpuKernelTable TRIBUTARY_KERNEL_SET = {kernels_for<float, float>(), kernels_for<float, Bf16>(),
                                             kernels_for<double, double>()};

}  // namespace tributary::detail
