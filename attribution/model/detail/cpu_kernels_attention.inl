// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention, where a row depends on the earlier ones of its sequence: one head of one sequence at a time. Only
// cpu_kernels.inl may include it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/cpu_kernels_heads.inl"
#include "attribution/model/detail/cpu_kernels_long_attention.inl"
#include "attribution/model/detail/cpu_kernels_numbers.inl"

namespace tributary::detail {
namespace {

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
      : a_(a), length_(length_of(a)), store_(new S[static_cast<std::size_t>(size())]) {
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
    softcap_factor_ = take(length_);
  }

  void forward() {
    for (std::int64_t s = 0; s < a_.sequences; ++s) {
      for (std::int64_t kv = 0; kv < a_.kv_heads; ++kv) {
        load_keys(a_, s, kv, key_, value_);
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
        load_keys(a_, s, kv, key_, value_);
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
  [[nodiscard]] std::int64_t size() const { return (2 * length_ + 2 * a_.suffix + 3) * a_.head + 3 * length_; }
  [[nodiscard]] std::int64_t group() const { return a_.heads / a_.kv_heads; }
  [[nodiscard]] std::int64_t position(std::int64_t q) const { return position_of(a_, q); }
  [[nodiscard]] std::int64_t first(std::int64_t q) const { return first_key_of(a_, q); }

  void load(S* to, const T* from) const {
    for (std::int64_t i = 0; i < a_.head; ++i) to[i] = wide(from[i]);
  }
  void store(T* to, const S* from) const {
    for (std::int64_t i = 0; i < a_.head; ++i) to[i] = Narrow<T>::from(from[i]);
  }

  /// The attention pattern of the loaded query at place q.
  void attend(std::int64_t q) {
    S largest = -std::numeric_limits<S>::infinity();
    for (std::int64_t k = first(q); k <= position(q); ++k) {
      pattern_[k] = a_.scale * dot(query_, key_ + k * a_.head, a_.head);
      if (a_.softcap > 0) cap(k);
      largest = pattern_[k] > largest ? pattern_[k] : largest;
    }
    S sum = 0;
    for (std::int64_t k = first(q); k <= position(q); ++k) {
      pattern_[k] = exponential(pattern_[k] - largest);
      sum += pattern_[k];
    }
    for (std::int64_t k = first(q); k <= position(q); ++k) pattern_[k] /= sum;
  }

  /// Caps a scaled score, and keeps what its gradient is multiplied with.
  void cap(std::int64_t k) {
    const S score = pattern_[k];
    const S t = hyperbolic_tangent(score / a_.softcap);
    pattern_[k] = a_.softcap * t;
    softcap_factor_[k] = !a_.frozen_softcap ? S(1) - t * t : score == 0 ? S(1) : pattern_[k] / score;
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
      S score_gradient = a_.scale * pattern_[k] * (pattern_gradient_[k] - along);
      if (a_.softcap > 0) score_gradient *= softcap_factor_[k];
      add_scaled(out_, key_ + k * a_.head, score_gradient, a_.head);
      if (own >= 0) add_scaled(key_gradient_ + own * a_.head, query_, score_gradient, a_.head);
    }
    store(a_.query_gradient.data + row * a_.query_gradient.stride + head * a_.head, out_);
  }

  const AttentionArguments<S, T>& a_;
  std::int64_t length_;
  std::unique_ptr<S[]> store_;
  S *key_, *value_, *key_gradient_, *value_gradient_, *query_, *gradient_, *out_, *pattern_, *pattern_gradient_,
      *softcap_factor_;
};

/// Calls body with the class that computes such a prompt.
template <typename S, typename T, typename Body>
void with_head(const AttentionArguments<S, T>& a, const Body& body) {
#if defined(__FMA__)
  if (std::max(a.tokens, length_of(a)) > most_tokens_by_query) {
    LongHead<S, T> head(a);
    return body(head);
  }
#endif
  Head<S, T> head(a);
  body(head);
}

template <typename S, typename T>
void attention(const AttentionArguments<S, T>& a) {
  with_head(a, [](auto& head) { head.forward(); });
}

template <typename S, typename T>
void attention_backward(const AttentionArguments<S, T>& a) {
  with_head(a, [](auto& head) { head.backward(); });
}

}  // namespace
}  // namespace tributary::detail
