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
#include "common/errors.h"
#include "common/team.h"

namespace tributary {
namespace {

/// A row of more entries than this share of the features goes through a whole matrix product, which reads W_dec once
/// for all such rows; fewer are gathered.
constexpr std::int64_t dense_share = 16;

bool is_dense(std::int64_t entries, std::int64_t features) { return entries * dense_share > features; }

bool is_top_k(const Dictionary& dictionary) {
  return dictionary.activation == FeatureGate::top_k || dictionary.activation == FeatureGate::top_k_signed;
}

/// Calls body(type's zero) with the numbers' type.
template <typename Body>
void with_type_of(const at::Tensor& numbers, const Body& body) {
  TRIBUTARY_EXPECT(numbers.is_cpu(), "features are computed on the host");
  numbers.scalar_type() == at::kFloat ? body(float{}) : body(double{});
}

at::Tensor times(const at::Tensor& rows, const at::Tensor& matrix, const at::Tensor& bias = {}) {
  return product(detail::padded_copy(rows, rows.options()), rows.size(0), matrix, bias);
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

/// Rows that have entries, by what their products are made with.
struct RowKinds {
  std::vector<std::int64_t> dense, gathered;
};

RowKinds kinds_of(const FeatureDifferences& features, std::int64_t all) {
  RowKinds kinds;
  for (std::int64_t row = 0; row < features.rows(); ++row) {
    const std::int64_t entries = features.entries(row);
    if (entries > 0) (is_dense(entries, all) ? kinds.dense : kinds.gathered).push_back(row);
  }
  return kinds;
}

/// Calls body(place in the list, first entry, entries) for the entries of some rows that lie in a tile of features;
/// next: where each row goes on.
template <typename Body>
void in_tile(const FeatureDifferences& features, const std::vector<std::int64_t>& rows, std::int64_t behind,
             std::vector<std::int64_t>& next, std::int64_t begin, std::int64_t end, const Body& body) {
  for (std::int64_t i = begin; i < end; ++i) {
    const auto place = static_cast<std::size_t>(i);
    const auto first = features.feature.begin() + next[place];
    const auto last = features.feature.begin() + features.first[static_cast<std::size_t>(rows[place]) + 1];
    const auto until = std::lower_bound(first, last, static_cast<std::int32_t>(behind));
    body(i, next[place], until - first);
    next[place] += until - first;
  }
}

std::vector<std::int64_t> first_entries(const FeatureDifferences& features, const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> first;
  for (const std::int64_t row : rows) first.push_back(features.first[static_cast<std::size_t>(row)]);
  return first;
}

/// ⟨W_dec[j], gradient⟩ of the entries of a row.
template <typename T>
void write_gathered(const FeatureDifferences& features, std::int64_t row, const at::Tensor& decoder, const T* gradient,
                    double* products) {
  const std::int64_t width = decoder.size(1);
  constexpr std::int64_t lanes = 8;
  const T* const rows = decoder.const_data_ptr<T>();
  const std::int64_t begin = features.first[static_cast<std::size_t>(row)];
  for (std::int64_t i = 0; i < features.entries(row); ++i) {
    const T* const w = rows + features.feature[static_cast<std::size_t>(begin + i)] * width;
    T partial[lanes] = {};
    std::int64_t d = 0;
    for (; d + lanes <= width; d += lanes) {
      for (std::int64_t l = 0; l < lanes; ++l) partial[l] += w[d + l] * gradient[d + l];
    }
    T sum = 0;
    for (; d < width; ++d) sum += w[d] * gradient[d];
    for (const T one : partial) sum += one;
    products[begin + i] = static_cast<double>(sum);
  }
}

template <typename T>
void write_products(const FeatureDifferences& features, const at::Tensor& decoder, const at::Tensor& gradient,
                    std::vector<double>& products) {
  const RowKinds kinds = kinds_of(features, decoder.size(0));
  const auto* const g = gradient.const_data_ptr<T>();
  share_loop(std::ssize(kinds.gathered), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t row = kinds.gathered[static_cast<std::size_t>(i)];
      write_gathered<T>(features, row, decoder, g + row * gradient.size(1), products.data());
    }
  });
  if (kinds.dense.empty()) return;
  const at::Tensor rows = at::zeros({detail::padded_rows(std::ssize(kinds.dense)), gradient.size(1)}, gradient.options());
  for (std::int64_t i = 0; i < std::ssize(kinds.dense); ++i)
    rows[i].copy_(gradient[kinds.dense[static_cast<std::size_t>(i)]]);
  std::vector<std::int64_t> next = first_entries(features, kinds.dense);
  for (std::int64_t feature = 0; feature < decoder.size(0); feature += features_in_tile) {
    const std::int64_t behind = std::min(feature + features_in_tile, decoder.size(0));
    const at::Tensor matrix = decoder.narrow(0, feature, behind - feature).t();
    for (std::int64_t row = 0; row < std::ssize(kinds.dense); row += rows_in_tile) {
      const std::int64_t count = std::min(rows_in_tile, std::ssize(kinds.dense) - row);
      const at::Tensor all = product(rows.narrow(0, row, detail::padded_rows(count)), count, matrix);
      share_loop(count, 1, [&](std::int64_t begin, std::int64_t end) {
        in_tile(features, kinds.dense, behind, next, row + begin, row + end,
                [&](std::int64_t i, std::int64_t entry, std::int64_t entries) {
                  const T* const whole = all.const_data_ptr<T>() + (i - row) * all.size(1) - feature;
                  for (std::int64_t e = entry; e < entry + entries; ++e) {
                    products[static_cast<std::size_t>(e)] =
                        static_cast<double>(whole[features.feature[static_cast<std::size_t>(e)]]);
                  }
                });
      });
    }
  }
}

/// Adds difference · W_dec[j] of a row's entries to out, in their order.
template <typename T>
void add_gathered(const FeatureDifferences& features, std::int64_t row, const at::Tensor& decoder, T* out) {
  const std::int64_t width = decoder.size(1);
  for (std::int64_t e = features.first[static_cast<std::size_t>(row)];
       e < features.first[static_cast<std::size_t>(row) + 1]; ++e) {
    const T* const w = decoder.const_data_ptr<T>() + features.feature[static_cast<std::size_t>(e)] * width;
    const T f = static_cast<T>(features.difference[static_cast<std::size_t>(e)]);
    for (std::int64_t d = 0; d < width; ++d) out[d] += f * w[d];
  }
}

template <typename T>
void add_decoded(const FeatureDifferences& features, const at::Tensor& decoder, const at::Tensor& out) {
  const RowKinds kinds = kinds_of(features, decoder.size(0));
  share_loop(std::ssize(kinds.gathered), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t row = kinds.gathered[static_cast<std::size_t>(i)];
      add_gathered<T>(features, row, decoder, out.mutable_data_ptr<T>() + row * out.size(1));
    }
  });
  std::vector<std::int64_t> next = first_entries(features, kinds.dense);
  for (std::int64_t feature = 0; feature < decoder.size(0); feature += features_in_tile) {
    const std::int64_t behind = std::min(feature + features_in_tile, decoder.size(0));
    for (std::int64_t row = 0; row < std::ssize(kinds.dense); row += rows_in_tile) {
      const std::int64_t count = std::min(rows_in_tile, std::ssize(kinds.dense) - row);
      const at::Tensor f = at::zeros({detail::padded_rows(count), behind - feature}, decoder.options());
      in_tile(features, kinds.dense, behind, next, row, row + count,
              [&](std::int64_t i, std::int64_t entry, std::int64_t entries) {
                T* const numbers = f.mutable_data_ptr<T>() + (i - row) * f.size(1) - feature;
                for (std::int64_t e = entry; e < entry + entries; ++e) {
                  numbers[features.feature[static_cast<std::size_t>(e)]] =
                      static_cast<T>(features.difference[static_cast<std::size_t>(e)]);
                }
              });
      const at::Tensor part = product(f, count, decoder.narrow(0, feature, behind - feature));
      for (std::int64_t i = 0; i < count; ++i) out[kinds.dense[static_cast<std::size_t>(row + i)]].add_(part[i]);
    }
  }
}

}  // namespace

at::Tensor encode(const Dictionary& dictionary, const at::Tensor& x) {
  const bool whole = !is_top_k(dictionary);  // every number is written
  const at::Tensor f = whole ? at::empty({x.size(0), dictionary.features()}, x.options())
                             : at::zeros({x.size(0), dictionary.features()}, x.options());
  with_type_of(x, [&](auto zero) {
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

at::Tensor decode(const FeatureTarget& target, const FeatureDifferences& features) {
  const at::Tensor out = at::zeros({features.rows(), target.decoder.size(1)}, target.decoder.options());
  with_type_of(out, [&](auto zero) { add_decoded<decltype(zero)>(features, target.decoder, out); });
  return out;
}

at::Tensor encode_some(const Dictionary& dictionary, const at::Tensor& x, const std::vector<std::int64_t>& features) {
  const at::Tensor some = at::empty({x.size(0), std::ssize(features)}, x.options());
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

at::Tensor reconstruct(const FeatureTarget& target, const FeatureDifferences& f, const at::Tensor& x) {
  at::Tensor written = decode(target, f);
  if (target.bias.defined()) written = written + target.bias;
  return target.skip.defined() ? written + times(x, target.skip) : written;
}

at::Tensor reconstruct(const FeatureTarget& target, const at::Tensor& f, const at::Tensor& x) {
  FeatureDifferences sparse;
  with_type_of(f, [&](auto zero) {
    using T = decltype(zero);
    std::vector<RowEntries<T>> rows(static_cast<std::size_t>(f.size(0)));
    for (std::int64_t row = 0; row < f.size(0); ++row) {
      append<T>(rows[static_cast<std::size_t>(row)], 0, f.const_data_ptr<T>() + row * f.size(1), nullptr, f.size(1));
    }
    sparse = joined(std::move(rows));
  });
  return reconstruct(target, sparse, x);
}

FeatureDifferences feature_differences(const Dictionary& dictionary, const at::Tensor& x, const at::Tensor& baseline) {
  FeatureDifferences found;
  with_type_of(x, [&](auto zero) { found = joined(differences_of<decltype(zero)>(dictionary, x, baseline)); });
  return found;
}

std::vector<double> feature_gradients(const FeatureTarget& target, const FeatureDifferences& features,
                                      const at::Tensor& gradient) {
  std::vector<double> products(features.feature.size(), 0);
  const at::Tensor rows = gradient.contiguous();
  with_type_of(rows, [&](auto zero) { write_products<decltype(zero)>(features, target.decoder, rows, products); });
  return products;
}

}  // namespace tributary
