// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Products with W_dec: of few features row by row of it, of many as a matrix.
#include <algorithm>
#include <vector>

#include "attribution/model/detail/rows.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"
#include "attribution/nodes/detail/number_type.h"
#include "attribution/nodes/dictionary.h"
#include "common/team.h"

namespace tributary {
namespace {

/// A row of more entries than this share of the features goes through a whole matrix product, which reads W_dec once
/// for all such rows; fewer are gathered.
constexpr std::int64_t dense_share = 16;

bool is_dense(std::int64_t entries, std::int64_t features) { return entries * dense_share > features; }

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
  const at::Tensor rows =
      at::zeros({detail::padded_rows(std::ssize(kinds.dense)), gradient.size(1)}, gradient.options());
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

at::Tensor decode(const FeatureTarget& target, const FeatureDifferences& features) {
  at::Tensor out = at::zeros({features.rows(), target.decoder.size(1)}, target.decoder.options());
  detail::with_type_of(out, [&](auto zero) { add_decoded<decltype(zero)>(features, target.decoder, out); });
  return out;
}

std::vector<double> feature_gradients(const FeatureTarget& target, const FeatureDifferences& features,
                                      const at::Tensor& gradient) {
  std::vector<double> products(features.feature.size(), 0);
  const at::Tensor rows = gradient.contiguous();
  detail::with_type_of(rows,
                       [&](auto zero) { write_products<decltype(zero)>(features, target.decoder, rows, products); });
  return products;
}

}  // namespace tributary
