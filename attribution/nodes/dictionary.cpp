// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/dictionary.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>
#include <utility>

#include "attribution/model/detail/rows.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"
#include "attribution/nodes/detail/number_type.h"
#include "common/team.h"

namespace tributary {
namespace {

bool is_top_k(const Dictionary& dictionary) {
  return dictionary.activation == FeatureGate::top_k || dictionary.activation == FeatureGate::top_k_signed;
}

/// The features of one tile: their products have the bits that they have among all.
Dictionary tile_of(const Dictionary& dictionary, std::int64_t first) {
  const std::int64_t features = std::min(features_in_tile, dictionary.features() - first);
  Dictionary tile = dictionary;
  tile.encoder = dictionary.encoder.narrow(1, first, features);
  if (tile.encoder_bias.defined()) tile.encoder_bias = dictionary.encoder_bias.narrow(0, first, features);
  if (tile.thresholds.defined()) tile.thresholds = dictionary.thresholds.narrow(0, first, features);
  return tile;
}

/// Calls body(first feature, first row, z [row, feature]) with pre-activations of x [row, width], a tile at a time; a
/// row's in the order of features. Tiles of features are the same for any rows.
template <typename Body>
void in_tiles(const Dictionary& dictionary, const at::Tensor& x, const Body& body) {
  const at::Tensor read = dictionary.input_bias.defined() ? x - dictionary.input_bias : x;
  const at::Tensor padded = detail::padded_copy(read, read.options());
  for (std::int64_t feature = 0; feature < dictionary.features(); feature += features_in_tile) {
    const Dictionary tile = tile_of(dictionary, feature);
    for (std::int64_t row = 0; row < x.size(0); row += rows_in_tile) {
      const std::int64_t rows = std::min(rows_in_tile, x.size(0) - row);
      const at::Tensor some = padded.narrow(0, row, detail::padded_rows(rows));
      body(feature, row, product(some, rows, tile.encoder, tile.encoder_bias));
    }
  }
}

/// Numbers that a loop handles in one piece: compilers make vectors of loops whose length they know.
constexpr std::int64_t piece = 64;

/// What z is above the least number, and 0 elsewhere, without a branch: which features are active can't be foreseen.
template <typename T>
T above(T z, T least) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<T>(std::bit_cast<Bits>(z) & -static_cast<Bits>(least < z));
}

/// relu and jump_relu of some features of a row, from `first` on.
template <typename T>
void activate(const Dictionary& dictionary, std::int64_t first, T* z, std::int64_t features) {
  const T* const thresholds =
      dictionary.activation == FeatureGate::jump_relu ? dictionary.thresholds.const_data_ptr<T>() + first : nullptr;
  const auto some = [&](std::int64_t begin, std::int64_t count) {
    if (thresholds == nullptr) {
      for (std::int64_t j = begin; j < begin + count; ++j) z[j] = above(z[j], T(0));
    } else {
      for (std::int64_t j = begin; j < begin + count; ++j) z[j] = above(z[j], std::max(thresholds[j], T(0)));
    }
  };
  std::int64_t begin = 0;
  for (; begin + piece <= features; begin += piece) some(begin, piece);
  some(begin, features - begin);
}

/// Numbers of some features of a row, ascending.
template <typename T>
struct RowEntries {
  std::vector<std::int32_t> feature;
  std::vector<T> number;
};

/// The k largest pre-activations of a row, whose features come in ascending order.
template <typename T>
class Largest {
 public:
  explicit Largest(const Dictionary& dictionary)
      : k_(static_cast<std::size_t>(dictionary.k)), signed_(dictionary.activation == FeatureGate::top_k_signed) {
    // Where only positive ones count, the others need no places.
    if (!signed_) least_ = 0;
  }

  void add(std::int64_t first, const T* z, std::int64_t features) {
    for (std::int64_t j = 0; j < features; ++j) {
      if (!(z[j] > least_)) continue;
      best_.emplace_back(z[j], static_cast<std::int32_t>(first + j));
      if (best_.size() >= 2 * k_ + some) keep();
    }
  }
  /// Those that are not 0, by feature.
  RowEntries<T> take() {
    keep();
    std::sort(best_.begin(), best_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    RowEntries<T> entries;
    for (const auto& [number, feature] : best_) {
      if (number == 0) continue;
      entries.feature.push_back(feature);
      entries.number.push_back(number);
    }
    return entries;
  }

 private:
  static constexpr std::size_t some = 64;

  void keep() {
    if (best_.size() <= k_) return;
    std::nth_element(
        best_.begin(), best_.begin() + static_cast<std::ptrdiff_t>(k_) - 1, best_.end(),
        [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
    best_.resize(k_);
    least_ = best_.back().first;  // a later feature must be larger
  }

  std::size_t k_;
  bool signed_;
  T least_ = -std::numeric_limits<T>::infinity();
  std::vector<std::pair<T, std::int32_t>> best_;
};

/// Features of top_k that are not 0, by row of x.
template <typename T>
std::vector<RowEntries<T>> largest_of(const Dictionary& dictionary, const at::Tensor& x) {
  std::vector<Largest<T>> largest(static_cast<std::size_t>(x.size(0)), Largest<T>(dictionary));
  in_tiles(dictionary, x, [&](std::int64_t feature, std::int64_t row, const at::Tensor& z) {
    share_loop(z.size(0), 1, [&](std::int64_t first, std::int64_t end) {
      for (std::int64_t r = first; r < end; ++r) {
        largest[static_cast<std::size_t>(row + r)].add(feature, z.const_data_ptr<T>() + r * z.size(1), z.size(1));
      }
    });
  });
  std::vector<RowEntries<T>> all;
  for (Largest<T>& row : largest) all.push_back(row.take());
  return all;
}

/// Differences of a row whose entries on both inputs are known.
template <typename T>
RowEntries<T> difference(const RowEntries<T>& of_x, const RowEntries<T>& of_baseline) {
  RowEntries<T> all;
  std::size_t x = 0, b = 0;
  while (x < of_x.feature.size() || b < of_baseline.feature.size()) {
    constexpr std::int32_t none = std::numeric_limits<std::int32_t>::max();
    const std::int32_t of = x < of_x.feature.size() ? of_x.feature[x] : none;
    const std::int32_t against = b < of_baseline.feature.size() ? of_baseline.feature[b] : none;
    all.feature.push_back(std::min(of, against));
    const T here = of <= against ? of_x.number[x++] : T(0);
    all.number.push_back(here - (against <= of ? of_baseline.number[b++] : T(0)));
  }
  return all;
}

/// Whether any of some numbers, at most a piece of them, is not 0.
template <typename T>
bool any_of(const T* numbers, std::int64_t count) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  Bits found = 0;
  if (count == piece) {
    for (std::int64_t j = 0; j < piece; ++j) found |= std::bit_cast<Bits>(numbers[j]);
  } else {
    for (std::int64_t j = 0; j < count; ++j) found |= std::bit_cast<Bits>(numbers[j]);
  }
  return (found << 1) != 0;  // without signs
}

/// Appends what is not 0 on one of two inputs, f and the baseline's (nullptr: 0) for some features from `first` on.
template <typename T>
void append(RowEntries<T>& row, std::int64_t first, const T* f, const T* baseline, std::int64_t features) {
  for (std::int64_t begin = 0; begin < features; begin += piece) {
    const std::int64_t count = std::min(piece, features - begin);
    const T* const here = f + begin;
    const T* const there = baseline != nullptr ? baseline + begin : nullptr;
    if (!any_of(here, count) && (there == nullptr || !any_of(there, count))) continue;
    // Written whether or not it counts: which of many features do can't be foreseen.
    std::int32_t feature[piece];  // NOLINT(*-avoid-c-arrays)
    T number[piece];              // NOLINT(*-avoid-c-arrays)
    std::size_t found = 0;
    for (std::int64_t j = 0; j < count; ++j) {
      const T other = there != nullptr ? there[j] : T(0);
      feature[found] = static_cast<std::int32_t>(first + begin + j);
      number[found] = here[j] - other;
      found += static_cast<std::size_t>((here[j] != 0) | (other != 0));
    }
    row.feature.insert(row.feature.end(), feature, feature + found);
    row.number.insert(row.number.end(), number, number + found);
  }
}

/// Rows of x and then of its baseline, so many of each at a time that a tile has the same of both.
at::Tensor side_by_side(const at::Tensor& x, const at::Tensor& baseline) {
  std::vector<at::Tensor> pieces;
  constexpr std::int64_t each = rows_in_tile / 2;
  for (std::int64_t row = 0; row < x.size(0); row += each) {
    const std::int64_t rows = std::min(each, x.size(0) - row);
    pieces.push_back(x.narrow(0, row, rows));
    pieces.push_back(baseline.narrow(0, row, rows));
  }
  return at::cat(pieces);
}

template <typename T>
std::vector<RowEntries<T>> differences_of(const Dictionary& dictionary, const at::Tensor& x,
                                          const at::Tensor& baseline) {
  std::vector<RowEntries<T>> rows(static_cast<std::size_t>(x.size(0)));
  if (is_top_k(dictionary)) {
    rows = largest_of<T>(dictionary, x);
    if (!baseline.defined()) return rows;
    const std::vector<RowEntries<T>> against = largest_of<T>(dictionary, baseline);
    for (std::size_t row = 0; row < rows.size(); ++row) rows[row] = difference(rows[row], against[row]);
    return rows;
  }
  const at::Tensor read = baseline.defined() ? side_by_side(x, baseline) : x;
  in_tiles(dictionary, read, [&](std::int64_t feature, std::int64_t row, const at::Tensor& z) {
    const std::int64_t inputs = baseline.defined() ? 2 : 1, count = z.size(0) / inputs, features = z.size(1);
    T* const all = z.mutable_data_ptr<T>();
    share_loop(count, 1, [&](std::int64_t first, std::int64_t end) {
      for (std::int64_t r = first; r < end; ++r) {
        T* const here = all + r * features;
        T* const there = inputs > 1 ? all + (count + r) * features : nullptr;
        activate(dictionary, feature, here, features);
        if (there != nullptr) activate(dictionary, feature, there, features);
        append(rows[static_cast<std::size_t>(row / inputs + r)], feature, here, there, features);
      }
    });
  });
  return rows;
}

/// The same in one list; rows are freed on the way.
template <typename T>
FeatureDifferences joined(std::vector<RowEntries<T>> rows) {
  FeatureDifferences found;
  found.first.push_back(0);
  for (const RowEntries<T>& row : rows) found.first.push_back(found.first.back() + std::ssize(row.feature));
  found.feature.reserve(static_cast<std::size_t>(found.first.back()));
  found.difference.reserve(found.feature.capacity());
  for (RowEntries<T>& row : rows) {
    found.feature.insert(found.feature.end(), row.feature.begin(), row.feature.end());
    found.difference.insert(found.difference.end(), row.number.begin(), row.number.end());
    row = RowEntries<T>{};
  }
  return found;
}

}  // namespace

at::Tensor encode(const Dictionary& dictionary, const at::Tensor& x) {
  const bool whole = !is_top_k(dictionary);  // every number is written
  at::Tensor f = whole ? at::empty({x.size(0), dictionary.features()}, x.options())
                       : at::zeros({x.size(0), dictionary.features()}, x.options());
  detail::with_type_of(x, [&](auto zero) {
    using T = decltype(zero);
    T* const all = f.mutable_data_ptr<T>();
    if (whole) {
      in_tiles(dictionary, x, [&](std::int64_t feature, std::int64_t row, const at::Tensor& z) {
        share_loop(z.size(0), 1, [&](std::int64_t first, std::int64_t end) {
          for (std::int64_t r = first; r < end; ++r) {
            T* const to = all + (row + r) * f.size(1) + feature;
            std::copy_n(z.const_data_ptr<T>() + r * z.size(1), z.size(1), to);
            activate(dictionary, feature, to, z.size(1));
          }
        });
      });
      return;
    }
    T* to = all;
    for (const RowEntries<T>& row : largest_of<T>(dictionary, x)) {
      for (std::size_t i = 0; i < row.feature.size(); ++i) to[row.feature[i]] = row.number[i];
      to += f.size(1);
    }
  });
  return f;
}

at::Tensor encode_some(const Dictionary& dictionary, const at::Tensor& x, const std::vector<std::int64_t>& features) {
  at::Tensor some = at::empty({x.size(0), std::ssize(features)}, x.options());
  at::Tensor all;  // of the tile that was encoded last, or where they compete of all features
  std::int64_t first = -1;
  for (std::int64_t i = 0; i < std::ssize(features); ++i) {
    const std::int64_t feature = features[static_cast<std::size_t>(i)];
    const std::int64_t wanted = is_top_k(dictionary) ? 0 : feature / features_in_tile * features_in_tile;
    if (first != wanted) all = encode(is_top_k(dictionary) ? dictionary : tile_of(dictionary, wanted), x);
    first = wanted;
    some.select(1, i).copy_(all.select(1, feature - first));
  }
  return some;
}

FeatureDifferences feature_differences(const Dictionary& dictionary, const at::Tensor& x, const at::Tensor& baseline) {
  FeatureDifferences found;
  detail::with_type_of(x, [&](auto zero) { found = joined(differences_of<decltype(zero)>(dictionary, x, baseline)); });
  return found;
}

}  // namespace tributary
