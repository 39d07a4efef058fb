// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Matrix products in tiles that stay in registers. What a tile adds up, and in which order, is given by
// ProductArguments::chain alone: neither the instruction set nor how many rows and columns there are changes a bit.
// Panels are as other processors' libraries cut them (Goto & van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008); of their own is that the next panel is asked for from memory while this one is used, so that
// few rows, which wait for weights, are nearly as fast as many. Only cpu_kernels.inl may include it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "attribution/model/detail/cpu_kernels.h"
#include "attribution/model/detail/cpu_kernels_numbers.inl"

namespace tributary::detail {
namespace {

#if defined(__FMA__)

#ifdef __AVX512F__
constexpr int vector_bytes = 64, most_tile_rows = 14;  // 28 of 32 registers add up
#else
constexpr int vector_bytes = 32, most_tile_rows = 6;  // 12 of 16
#endif

template <typename S>
using Vector [[gnu::vector_size(vector_bytes)]] = S;
template <typename S>
constexpr std::int64_t lanes = vector_bytes / static_cast<std::int64_t>(sizeof(S));
/// Columns of a tile: two vectors.
template <typename S>
constexpr std::int64_t panel_columns = 2 * lanes<S>;

/// A vector from any address, and to one.
template <typename S>
inline Vector<S> load(const S* from) {
  Vector<S> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
inline Vector<float> load(const Bf16* from) {
  Vector<float> v;
#pragma GCC unroll 16
  for (int i = 0; i < lanes<float>; ++i) v[i] = wide(from[i]);
  return v;
}
template <typename S>
inline void store(S* to, const Vector<S>& v) {
  __builtin_memcpy(to, &v, sizeof v);
}

constexpr std::int64_t cache_line = 64;
/// Inner numbers that a panel holds at most: two panels fit into the first cache.
constexpr std::int64_t most_panel_inner = 384;
/// A single chain that is longer goes on through the sums in memory, in steps of so many.
constexpr std::int64_t step_of_long_chains = 192;

struct FreeScratch {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename S>
using Scratch = std::unique_ptr<S[], FreeScratch>;
template <typename S>
Scratch<S> scratch(std::int64_t numbers) {
  const auto bytes = static_cast<std::size_t>(numbers) * sizeof(S);
  auto* memory = static_cast<S*>(std::aligned_alloc(cache_line, (bytes + cache_line - 1) / cache_line * cache_line));
  if (memory == nullptr) throw std::bad_alloc();
  return Scratch<S>(memory);
}

/// Where a tile's sums begin and what they are added to, each at the tile's own first element; nullptr: zero, nothing.
template <typename S>
struct TileSums {
  const S* from = nullptr;  //!< a chain that goes on
  const S* onto = nullptr;  //!< earlier chains, or (stride 0) the bias
  std::int64_t onto_stride = 0;
  S* out = nullptr;
  std::int64_t stride = 0;  //!< of `from` and `out`
};

/// out = onto + (from + Σ_k rows_k · panel_k), the sum a chain of fused multiply-adds in the order of k. rows [k, R]
/// and panel [k, panel_columns] are packed; `ahead` gives, for each k, a byte distance from `next` that will be read
/// soon.
template <typename S, int R>
void tile(const S* rows, const S* panel, std::int64_t inner, const TileSums<S>& sums, const char* next,
          const std::int32_t* ahead) {
  constexpr std::int64_t width = lanes<S>;
  Vector<S> left[R], right[R];  // NOLINT(*-avoid-c-arrays): std::array forgets that they are vectors
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    left[i] = Vector<S>{};
    right[i] = Vector<S>{};
  }
  if (sums.from != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      left[i] = load(sums.from + i * sums.stride);
      right[i] = load(sums.from + i * sums.stride + width);
    }
  }
#pragma GCC unroll 2
  for (std::int64_t k = 0; k < inner; ++k) {
    __builtin_prefetch(next + ahead[k]);
    const Vector<S> first = load(panel);
    const Vector<S> second = load(panel + width);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      left[i] += rows[i] * first;
      right[i] += rows[i] * second;
    }
    panel += 2 * width;
    rows += R;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    if (sums.onto != nullptr) {
      const S* const onto = sums.onto + i * sums.onto_stride;
      left[i] = load(onto) + left[i];
      right[i] = load(onto + width) + right[i];
    }
    store<S>(sums.out + i * sums.stride, left[i]);
    store<S>(sums.out + i * sums.stride + width, right[i]);
  }
}

template <typename S>
using Tile = void (*)(const S*, const S*, std::int64_t, const TileSums<S>&, const char*, const std::int32_t*);

template <typename S, std::size_t... R>
constexpr std::array<Tile<S>, sizeof...(R)> tiles_of(std::index_sequence<R...> /*rows, less one*/) {
  return {tile<S, static_cast<int>(R) + 1>...};
}
/// By rows, less one.
template <typename S>
constexpr auto tiles = tiles_of<S>(std::make_index_sequence<most_tile_rows>());

/// Exchanges the odd pieces of one vector with the even pieces of another, pieces of `half` numbers each.
template <int half, typename S, std::size_t... J>
void exchange(Vector<S>& upper, Vector<S>& lower, std::index_sequence<J...> /*lanes*/) {
  constexpr int width = lanes<S>;
  const Vector<S> u = upper, l = lower;
  upper =
      __builtin_shufflevector(u, l, ((J & half) != 0 ? static_cast<int>(J) - half + width : static_cast<int>(J))...);
  lower =
      __builtin_shufflevector(u, l, ((J & half) != 0 ? static_cast<int>(J) + width : static_cast<int>(J) + half)...);
}

/// The vectors as rows of a square, turned: halves, quarters, … of pairs are exchanged.
template <int half, typename S>
void turn_vectors(Vector<S>* v) {
  if constexpr (half < lanes<S>) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<S>; ++i) {
      if ((i & half) == 0) exchange<half, S>(v[i], v[i + half], std::make_index_sequence<lanes<S>>());
    }
    turn_vectors<2 * half, S>(v);
  }
}

/// A square of numbers turned: to[j][i] = from[i][j].
template <typename S, typename T>
void turn_square(const T* from, std::int64_t from_stride, S* to, std::int64_t to_stride) {
  Vector<S> v[lanes<S>];  // NOLINT(*-avoid-c-arrays)
#pragma GCC unroll 16
  for (int i = 0; i < lanes<S>; ++i) v[i] = load(from + i * from_stride);
  turn_vectors<1, S>(v);
#pragma GCC unroll 16
  for (int i = 0; i < lanes<S>; ++i) store<S>(to + i * to_stride, v[i]);
}

/// One product under way. Panels of the matrix are packed one at a time and used for all rows at once. S: what is
/// summed in; T: rows; M: the matrix.
template <typename S, typename T, typename M>
class Product {
 public:
  explicit Product(const ProductArguments<T, M>& a)
      : a_(a),
        chain_(std::min(a.chain, a.inner)),
        step_(chain_ == a.inner && chain_ > most_panel_inner ? step_of_long_chains : chain_),
        tiles_((a.rows + most_tile_rows - 1) / most_tile_rows),
        packed_(scratch<S>(a.rows * step_ + 2 * lanes<S>)),
        panel_(scratch<S>(step_ * panel)),
        edge_(scratch<S>(most_tile_rows * panel)),
        bias_(scratch<S>(panel)) {
    if constexpr (!std::is_same_v<S, T>) sums_ = scratch<S>(a.rows * std::min(group, a.columns));
  }

  void run() {
    const std::int64_t together = std::is_same_v<S, T> ? a_.columns : group;
    for (std::int64_t first = 0; first < a_.columns; first += together) {
      const std::int64_t columns = std::min(together, a_.columns - first);
      for (std::int64_t k = 0; k < a_.inner; k += step_) step(first, columns, k, std::min(step_, a_.inner - k));
      if constexpr (!std::is_same_v<S, T>) round(first, columns);
    }
  }

 private:
  static constexpr std::int64_t panel = panel_columns<S>;
  static constexpr std::int64_t group = 32 * panel;  // columns whose sums wait in S to be rounded to T

  [[nodiscard]] std::int64_t tile_rows(std::int64_t tile) const { return a_.rows / tiles_ + (tile < a_.rows % tiles_); }

  /// The sums of a panel's first row.
  [[nodiscard]] Rows<S> sums_at(std::int64_t first, std::int64_t column) const {
    if constexpr (std::is_same_v<S, T>) return {a_.out.data + column, a_.out.stride};
    return {sums_.get() + column - first, std::min(group, a_.columns)};
  }

  [[nodiscard]] const M* matrix_at(std::int64_t k, std::int64_t column) const {
    return a_.inner_contiguous ? a_.matrix.data + column * a_.matrix.stride + k
                               : a_.matrix.data + k * a_.matrix.stride + column;
  }

  /// All rows and some columns, for some of the inner numbers.
  void step(std::int64_t first, std::int64_t columns, std::int64_t k, std::int64_t inner) {
    pack_rows(k, inner);
    look_ahead(inner);
    const std::int64_t behind = first + columns;
    for (std::int64_t column = first; column < behind; column += panel) {
      pack_panel(k, inner, column);
      const bool last = column + panel >= behind;
      const char* next = reinterpret_cast<const char*>(!last ? matrix_at(k, column + panel)
                                                             : matrix_at(k + inner < a_.inner ? k + inner : 0, first));
      use_panel(first, column, k, inner, next);
    }
  }

  void use_panel(std::int64_t first, std::int64_t column, std::int64_t k, std::int64_t inner, const char* next) {
    const std::int64_t columns = std::min(panel, a_.columns - column);
    const Rows<S> sums = sums_at(first, column);
    const bool continues = k % chain_ != 0, ends = (k + inner) % chain_ == 0 || k + inner == a_.inner;
    if (a_.bias != nullptr) {
      for (std::int64_t j = 0; j < panel; ++j) bias_[j] = j < columns ? wide(a_.bias[column + j]) : S(0);
    }
    const S* rows = packed_.get();
    const std::int32_t* ahead = ahead_.data();
    std::int64_t row = 0;
    for (std::int64_t t = 0; t < tiles_; ++t) {
      const std::int64_t height = tile_rows(t);
      S* const here = sums.data + row * sums.stride;
      const bool whole = columns == panel;
      if (!whole) copy({edge_.get(), panel}, {here, sums.stride}, height, columns);
      TileSums<S> s;
      s.out = whole ? here : edge_.get();
      s.stride = whole ? sums.stride : panel;
      if (continues) s.from = s.out;
      if (ends && (k >= chain_ || a_.add)) {
        s.onto = s.out;
        s.onto_stride = s.stride;
      } else if (ends && a_.bias != nullptr) {
        s.onto = bias_.get();
      }
      tiles<S>[static_cast<std::size_t>(height - 1)](rows, panel_.get(), inner, s, next, ahead);
      if (!whole) copy({here, sums.stride}, {edge_.get(), panel}, height, columns);
      rows += height * inner;
      ahead += inner;
      row += height;
    }
  }

  static void copy(Rows<S> to, Rows<S> from, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t i = 0; i < rows; ++i) std::copy_n(from.data + i * from.stride, columns, to.data + i * to.stride);
  }

  /// Rows as tiles read them: [tile, k, row].
  void pack_rows(std::int64_t k, std::int64_t inner) {
    S* to = packed_.get();
    std::int64_t row = 0;
    for (std::int64_t t = 0; t < tiles_; ++t) {
      const std::int64_t height = tile_rows(t);
      const T* const from = a_.rows_in.data + row * a_.rows_in.stride + k;
      std::int64_t packed = 0;
      for (; packed + lanes<S> <= inner; packed += lanes<S>) pack_square(from + packed, height, to + packed * height);
      for (; packed < inner; ++packed) {
        for (std::int64_t i = 0; i < height; ++i) to[packed * height + i] = wide(from[i * a_.rows_in.stride + packed]);
      }
      to += height * inner;
      row += height;
    }
  }

  /// As many numbers of some rows as a vector holds, turned. Each vector is stored whole and the next one over its end:
  /// what is behind them is packed later, or is the buffer's end.
  void pack_square(const T* from, std::int64_t height, S* to) const {
    constexpr std::int64_t width = lanes<S>, squares = (most_tile_rows + width - 1) / width;
    Vector<S> v[squares * width];  // NOLINT(*-avoid-c-arrays)
#pragma GCC unroll 16
    for (int i = 0; i < squares * width; ++i) v[i] = i < height ? load(from + i * a_.rows_in.stride) : Vector<S>{};
    for (int square = 0; square < squares; ++square) turn_vectors<1, S>(v + square * width);
#pragma GCC unroll 16
    for (int i = 0; i < width; ++i) {
      store<S>(to + i * height, v[i]);
      if (squares > 1 && height > width) store<S>(to + i * height + width, v[width + i]);
    }
  }

  /// Some columns as tiles read them, [k, panel_columns], zero beside the last.
  void pack_panel(std::int64_t k, std::int64_t inner, std::int64_t column) {
    const M* const from = matrix_at(k, column);
    const std::int64_t stride = a_.matrix.stride;
    const std::int64_t columns = std::min(panel, a_.columns - column);
    S* const to = panel_.get();
    std::int64_t packed = 0;
    if (columns == panel && !a_.inner_contiguous) {
      for (; packed < inner; ++packed) {
        for (std::int64_t j = 0; j < panel; j += lanes<S>) {
          store<S>(to + packed * panel + j, load(from + packed * stride + j));
        }
      }
    } else if (columns == panel) {
      for (; packed + lanes<S> <= inner; packed += lanes<S>) {
        for (std::int64_t j = 0; j < panel; j += lanes<S>) {
          turn_square(from + j * stride + packed, stride, to + packed * panel + j, panel);
        }
      }
    }
    const std::int64_t across = a_.inner_contiguous ? stride : 1, along = a_.inner_contiguous ? 1 : stride;
    for (; packed < inner; ++packed) {
      for (std::int64_t j = 0; j < panel; ++j) {
        to[packed * panel + j] = j < columns ? wide(from[j * across + packed * along]) : S(0);
      }
    }
  }

  /// The cache lines of a panel, in the order in which tiles ask for the next one's.
  void look_ahead(std::int64_t inner) {
    const std::int64_t wanted = tiles_ * inner;
    if (std::ssize(ahead_) == wanted) return;
    ahead_.clear();
    const std::int64_t pieces = a_.inner_contiguous ? panel : inner, numbers = a_.inner_contiguous ? inner : panel;
    for (std::int64_t i = 0; i < pieces; ++i) {
      for (std::int64_t byte = 0; byte < numbers * std::int64_t(sizeof(M)); byte += cache_line) {
        ahead_.push_back(static_cast<std::int32_t>(i * a_.matrix.stride * std::int64_t(sizeof(M)) + byte));
      }
    }
    ahead_.resize(static_cast<std::size_t>(wanted), ahead_.back());
  }

  void round(std::int64_t first, std::int64_t columns) {
    const Rows<S> sums = sums_at(first, first);
    for (std::int64_t i = 0; i < a_.rows; ++i) {
      T* const to = a_.out.data + i * a_.out.stride + first;
      for (std::int64_t j = 0; j < columns; ++j) to[j] = Narrow<T>::from(sums.data[i * sums.stride + j]);
    }
  }

  const ProductArguments<T, M>& a_;
  std::int64_t chain_, step_, tiles_;
  Scratch<S> packed_, panel_, edge_, bias_, sums_;
  std::vector<std::int32_t> ahead_;
};

template <typename S, typename T, typename M>
void product(const ProductArguments<T, M>& a) {
  Product<S, T, M>(a).run();
}

#endif

/// None without fused multiply-adds: LibTorch computes there.
template <typename S, typename T, typename M = T>
constexpr auto product_of() -> void (*)(const ProductArguments<T, M>&) {
#if defined(__FMA__)
  return product<S, T, M>;
#else
  return nullptr;
#endif
}

}  // namespace
}  // namespace tributary::detail
