// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention of long prompts: blocks of queries against all keys that they see, as matrix products. The pattern of a
// block is kept whole, so no sum is rescaled; the way back computes it again (as in Dao et al., "FlashAttention", 2022,
// which never keeps it). Queries are cut at multiples of block positions of the prompt, and sums over keys or queries
// that are masked add zeros: so no bit depends on which positions are computed together, or come as a prefix. Only
// cpu_kernels.inl may include it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/cpu_kernels_heads.inl"
#include "attribution/model/detail/cpu_kernels_numbers.inl"
#include "attribution/model/detail/cpu_kernels_products.inl"

namespace tributary::detail {
namespace {

#if defined(__FMA__)

constexpr std::int64_t block_positions = 64;

constexpr std::int64_t up_to_block(std::int64_t n) {
  return (n + block_positions - 1) / block_positions * block_positions;
}

template <typename S>
inline void multiply(const ProductArguments<S>& a) {
  Product<S, S, S>(a).run();
}

/// One head of one sequence at a time, in S.
template <typename S, typename T>
class LongHead {
 public:
  explicit LongHead(const AttentionArguments<S, T>& a)
      : a_(a),
        length_(length_of(a)),
        width_(up_to_block(length_)),
        key_(zeros(width_ * a.head)),
        value_(zeros(width_ * a.head)),
        query_(zeros(block_positions * a.head)),
        turned_(zeros(block_positions * a.head)),
        out_(zeros(block_positions * a.head)),
        pattern_(zeros(block_positions * width_)) {}

  void forward() {
    each_key_head([this](std::int64_t s, std::int64_t head, const Block& block) {
      load_rows(query_.get(), a_.query, s, head, block);
      attend(block);
      // z [query, head] = pattern [query, key] · value [key, head]
      multiply<S>(product(block.count, block.keys(), a_.head, {pattern_.get() + block.begin, width_}, values(block),
                          false, {out_.get(), a_.head}));
      store_rows(a_.z, s, head, block);
    });
  }

  void backward() {
    gradient_ = zeros(block_positions * a_.head);
    gradient_turned_ = zeros(block_positions * a_.head);
    pattern_gradient_ = zeros(block_positions * width_);
    factor_ = zeros(a_.softcap > 0 ? block_positions * width_ : 0);
    key_gradient_ = zeros(a_.head * width_);
    value_gradient_ = zeros(a_.head * width_);
    each_key_head([this](std::int64_t s, std::int64_t head, const Block& block) { block_backward(s, head, block); },
                  [this](std::int64_t s, std::int64_t kv) { store_key_gradients(s, kv); });
  }

 private:
  /// Queries of a sequence whose positions lie in one block, and the keys that any of them sees.
  struct Block {
    std::int64_t first = 0, count = 0;  // queries
    std::int64_t begin = 0, end = 0;    // keys, at multiples of block_positions
    [[nodiscard]] std::int64_t keys() const { return end - begin; }
  };

  static Scratch<S> zeros(std::int64_t numbers) {
    Scratch<S> memory = scratch<S>(std::max<std::int64_t>(numbers, 1));
    std::fill_n(memory.get(), numbers, S(0));
    return memory;
  }

  [[nodiscard]] std::int64_t position(std::int64_t query) const { return position_of(a_, query); }
  [[nodiscard]] std::int64_t first_key(std::int64_t query) const { return first_key_of(a_, query); }

  template <typename EachBlock, typename AfterHeads>
  void each_key_head(const EachBlock& each, const AfterHeads& after) {
    const std::int64_t group = a_.heads / a_.kv_heads;
    for (std::int64_t s = 0; s < a_.sequences; ++s) {
      for (std::int64_t kv = 0; kv < a_.kv_heads; ++kv) {
        load_keys(a_, s, kv, key_.get(), value_.get());
        for (std::int64_t head = kv * group; head < (kv + 1) * group; ++head) {
          for (Block block = block_from(0); block.count > 0; block = block_from(block.first + block.count)) {
            each(s, head, block);
          }
        }
        after(s, kv);
      }
    }
  }
  template <typename EachBlock>
  void each_key_head(const EachBlock& each) {
    each_key_head(each, [](std::int64_t, std::int64_t) {});
  }

  [[nodiscard]] Block block_from(std::int64_t query) const {
    Block block;
    block.first = query;
    if (query >= a_.queries) return block;
    block.end = up_to_block(position(query) + 1);
    block.count = std::min(a_.queries - query, block.end - position(query));
    block.begin = first_key(query) / block_positions * block_positions;
    return block;
  }

  [[nodiscard]] Rows<const S> keys(const Block& block) const { return {key_.get() + block.begin * a_.head, a_.head}; }
  [[nodiscard]] Rows<const S> values(const Block& block) const {
    return {value_.get() + block.begin * a_.head, a_.head};
  }

  static ProductArguments<S> product(std::int64_t rows, std::int64_t inner, std::int64_t columns, Rows<const S> in,
                                     Rows<const S> matrix, bool inner_contiguous, Rows<S> out) {
    ProductArguments<S> p;
    p.rows = rows;
    p.inner = p.chain = inner;
    p.columns = columns;
    p.rows_in = in;
    p.matrix = matrix;
    p.inner_contiguous = inner_contiguous;
    p.out = out;
    return p;
  }

  void load_rows(S* to, const Rows<const T>& from, std::int64_t s, std::int64_t head, const Block& block) const {
    for (std::int64_t q = 0; q < block.count; ++q) {
      const T* const row = from.data + (s * a_.queries + block.first + q) * from.stride + head * a_.head;
      for (std::int64_t i = 0; i < a_.head; ++i) to[q * a_.head + i] = wide(row[i]);
    }
  }

  void store_rows(const Rows<T>& to, std::int64_t s, std::int64_t head, const Block& block) const {
    for (std::int64_t q = 0; q < block.count; ++q) {
      T* const row = to.data + (s * a_.queries + block.first + q) * to.stride + head * a_.head;
      for (std::int64_t i = 0; i < a_.head; ++i) row[i] = Narrow<T>::from(out_[q * a_.head + i]);
    }
  }

  /// Rows [query, head] as [head, query].
  void turn_rows(const S* from, S* to, const Block& block) const {
    for (std::int64_t q = 0; q < block.count; ++q) {
      for (std::int64_t i = 0; i < a_.head; ++i) to[i * block_positions + q] = from[q * a_.head + i];
    }
  }

  /// The pattern of the loaded queries [query, key], zero where a key is not seen.
  void attend(const Block& block) {
    multiply<S>(product(block.count, a_.head, block.keys(), {query_.get(), a_.head}, keys(block), true,
                        {pattern_.get() + block.begin, width_}));
    for (std::int64_t q = 0; q < block.count; ++q) {
      S* const row = pattern_.get() + q * width_;
      const std::int64_t first = first_key(block.first + q), behind = position(block.first + q) + 1;
      std::fill(row + block.begin, row + first, S(0));
      std::fill(row + behind, row + block.end, S(0));
      for (std::int64_t k = first; k < behind; ++k) row[k] *= a_.scale;
      if (a_.softcap > 0) cap(row, q, first, behind);
      S largest = -std::numeric_limits<S>::infinity();
#pragma omp simd reduction(max : largest)
      for (std::int64_t k = first; k < behind; ++k) largest = row[k] > largest ? row[k] : largest;
#pragma omp simd
      for (std::int64_t k = first; k < behind; ++k) row[k] = exponential(row[k] - largest);
      const S sum = sum_of(row + block.begin, block.keys());
#pragma omp simd
      for (std::int64_t k = first; k < behind; ++k) row[k] /= sum;
    }
  }

  /// Sums of whole blocks, in an order that zeros before and behind do not change.
  static S sum_of(const S* numbers, std::int64_t count) {
    Vector<S> sum{};
    for (std::int64_t k = 0; k < count; k += lanes<S>) sum += load(numbers + k);
    return sum_of(sum);
  }
  static S dot_of(const S* x, const S* y, std::int64_t count) {
    Vector<S> sum{};
    for (std::int64_t k = 0; k < count; k += lanes<S>) sum += load(x + k) * load(y + k);
    return sum_of(sum);
  }
  static S sum_of(const Vector<S>& lane) {
    S all = 0;
    for (int i = 0; i < lanes<S>; ++i) all += lane[i];
    return all;
  }

  /// Caps scaled scores, and keeps what their gradients are multiplied with.
  void cap(S* row, std::int64_t q, std::int64_t first, std::int64_t behind) {
    S* const factor = factor_ ? factor_.get() + q * width_ : nullptr;
    for (std::int64_t k = first; k < behind; ++k) {
      const S score = row[k];
      const S t = hyperbolic_tangent(score / a_.softcap);
      row[k] = a_.softcap * t;
      if (factor != nullptr) factor[k] = !a_.frozen_softcap ? S(1) - t * t : score == 0 ? S(1) : row[k] / score;
    }
  }

  void block_backward(std::int64_t s, std::int64_t head, const Block& block) {
    load_rows(query_.get(), a_.query, s, head, block);
    load_rows(gradient_.get(), a_.gradient, s, head, block);
    turn_rows(gradient_.get(), gradient_turned_.get(), block);
    attend(block);
    // value gradient [head, key] += gradient [head, query] · pattern [query, key]
    add_to_keys(value_gradient_.get(), gradient_turned_.get(), pattern_.get(), block);
    std::fill_n(out_.get(), block.count * a_.head, S(0));
    if (!a_.frozen_pattern) {
      turn_rows(query_.get(), turned_.get(), block);
      score_gradients(block);
      add_to_keys(key_gradient_.get(), turned_.get(), pattern_gradient_.get(), block);
      multiply<S>(product(block.count, block.keys(), a_.head, {pattern_gradient_.get() + block.begin, width_},
                          keys(block), false, {out_.get(), a_.head}));
    }
    store_rows(a_.query_gradient, s, head, block);
  }

  void add_to_keys(S* sum, const S* rows, const S* by_query, const Block& block) const {
    ProductArguments<S> p = product(a_.head, block.count, block.keys(), {rows, block_positions},
                                    {by_query + block.begin, width_}, false, {sum + block.begin, width_});
    p.add = true;
    multiply<S>(p);
  }

  /// dm/d(query · key) [query, key] of the block.
  void score_gradients(const Block& block) {
    multiply<S>(product(block.count, a_.head, block.keys(), {gradient_.get(), a_.head}, values(block), true,
                        {pattern_gradient_.get() + block.begin, width_}));
    for (std::int64_t q = 0; q < block.count; ++q) {
      const S* const pattern = pattern_.get() + q * width_;
      S* const gradient = pattern_gradient_.get() + q * width_;
      const S along = dot_of(pattern + block.begin, gradient + block.begin, block.keys());
#pragma omp simd
      for (std::int64_t k = block.begin; k < block.end; ++k) {
        gradient[k] = a_.scale * pattern[k] * (gradient[k] - along);  // zero where the pattern is
      }
      if (a_.softcap <= 0) continue;
      const S* const factor = factor_.get() + q * width_;
      const std::int64_t first = first_key(block.first + q), behind = position(block.first + q) + 1;
      for (std::int64_t k = first; k < behind; ++k) gradient[k] *= factor[k];
    }
  }

  /// Of the sequence's own keys, and cleared for the next.
  void store_key_gradients(std::int64_t s, std::int64_t kv) {
    for (std::int64_t k = 0; k < a_.suffix; ++k) {
      const std::int64_t row = s * a_.suffix + k, place = a_.prefix_length + k;
      T* const key = a_.key_gradient.data + row * a_.key_gradient.stride + kv * a_.head;
      T* const value = a_.value_gradient.data + row * a_.value_gradient.stride + kv * a_.head;
      for (std::int64_t i = 0; i < a_.head; ++i) {
        key[i] = Narrow<T>::from(key_gradient_[i * width_ + place]);
        value[i] = Narrow<T>::from(value_gradient_[i * width_ + place]);
      }
    }
    std::fill_n(key_gradient_.get(), a_.head * width_, S(0));
    std::fill_n(value_gradient_.get(), a_.head * width_, S(0));
  }

  const AttentionArguments<S, T>& a_;
  std::int64_t length_, width_;  // keys, and rounded up to whole blocks
  Scratch<S> key_, value_;       // [width, head], zero behind the last
  Scratch<S> query_, turned_, out_;
  Scratch<S> gradient_, gradient_turned_;
  Scratch<S> pattern_, pattern_gradient_, factor_;  // [query, width]
  Scratch<S> key_gradient_, value_gradient_;        // [head, width]
};

#endif

}  // namespace
}  // namespace tributary::detail
