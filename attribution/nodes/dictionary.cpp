// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/nodes/dictionary.h"

#include <algorithm>
#include <numeric>

#include "attribution/model/detail/rows.h"
#include "attribution/model/products.h"
#include "attribution/model/tensors.h"
#include "common/errors.h"
#include "common/team.h"

namespace tributary {
namespace {

/// Numbers of a dense table [row, feature] that are held at once.
constexpr std::int64_t most_numbers = std::int64_t{1} << 24;
/// A row of more entries than this share of the features goes through a whole matrix product, which reads W_dec once
/// for all such rows; fewer are gathered.
constexpr std::int64_t dense_share = 16;

at::Tensor times(const at::Tensor& rows, const at::Tensor& matrix, const at::Tensor& bias = {}) {
  return product(detail::padded_copy(rows, rows.options()), rows.size(0), matrix, bias);
}

/// The k largest of a row stay, all others become 0.
template <typename T>
void keep_largest(T* row, std::int64_t features, std::int64_t k) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(features));
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min(k, features);
  std::nth_element(order.begin(), end, order.end(),
                   [row](std::int64_t a, std::int64_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  for (auto rest = end; rest != order.end(); ++rest) row[*rest] = 0;
}

template <typename T>
void activate(const Dictionary& dictionary, const at::Tensor& z) {
  const std::int64_t features = z.size(1);
  auto* const all = z.mutable_data_ptr<T>();
  const T* const threshold =
      dictionary.activation == FeatureGate::jump_relu ? dictionary.thresholds.const_data_ptr<T>() : nullptr;
  share_loop(z.size(0), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t r = first; r < end; ++r) {
      T* const row = all + r * features;
      switch (dictionary.activation) {
        case FeatureGate::relu:
          for (std::int64_t j = 0; j < features; ++j) row[j] = row[j] > 0 ? row[j] : T(0);
          break;
        case FeatureGate::jump_relu:
          for (std::int64_t j = 0; j < features; ++j) row[j] = row[j] > threshold[j] && row[j] > 0 ? row[j] : T(0);
          break;
        case FeatureGate::top_k:
        case FeatureGate::top_k_signed:
          keep_largest(row, features, dictionary.k);
          if (dictionary.activation == FeatureGate::top_k_signed) break;
          for (std::int64_t j = 0; j < features; ++j) row[j] = row[j] > 0 ? row[j] : T(0);
      }
    }
  });
}

/// The entries of some rows of f [row, feature], against others or 0, appended.
template <typename T>
void append_entries(FeatureDifferences& found, const at::Tensor& f, const at::Tensor& baseline) {
  const std::int64_t features = f.size(1);
  const T* const of_x = f.const_data_ptr<T>();
  const T* const of_baseline = baseline.defined() ? baseline.const_data_ptr<T>() : nullptr;
  const auto there = [&](std::int64_t place) { return of_baseline == nullptr ? T(0) : of_baseline[place]; };
  std::vector<std::int64_t> counts(static_cast<std::size_t>(f.size(0)), 0);
  share_loop(f.size(0), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t r = first; r < end; ++r) {
      std::int64_t count = 0;
      for (std::int64_t i = r * features; i < (r + 1) * features; ++i) count += of_x[i] != 0 || there(i) != 0 ? 1 : 0;
      counts[static_cast<std::size_t>(r)] = count;
    }
  });
  const std::size_t before = found.first.size() - 1;  // rows that are there already
  for (const std::int64_t count : counts) found.first.push_back(found.first.back() + count);
  found.feature.resize(static_cast<std::size_t>(found.first.back()));
  found.difference.resize(found.feature.size());
  share_loop(f.size(0), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t r = first; r < end; ++r) {
      auto entry = static_cast<std::size_t>(found.first[before + static_cast<std::size_t>(r)]);
      for (std::int64_t j = 0; j < features; ++j) {
        const T here = of_x[r * features + j];
        const T other = there(r * features + j);
        if (here == 0 && other == 0) continue;
        found.feature[entry] = static_cast<std::int32_t>(j);
        found.difference[entry++] = static_cast<double>(static_cast<T>(here - other));
      }
    }
  });
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
  std::vector<std::int64_t> dense, gathered;  // rows
  for (std::int64_t row = 0; row < features.rows(); ++row) {
    const std::int64_t entries = features.entries(row);
    if (entries > 0) (entries * dense_share > decoder.size(0) ? dense : gathered).push_back(row);
  }
  const auto* const g = gradient.const_data_ptr<T>();
  share_loop(std::ssize(gathered), 1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      const std::int64_t row = gathered[static_cast<std::size_t>(i)];
      write_gathered<T>(features, row, decoder, g + row * gradient.size(1), products.data());
    }
  });
  const std::int64_t together = std::max<std::int64_t>(32, most_numbers / decoder.size(0));
  for (std::int64_t first = 0; first < std::ssize(dense); first += together) {
    const std::int64_t count = std::min(together, std::ssize(dense) - first);
    at::Tensor rows = at::empty({count, gradient.size(1)}, gradient.options());
    for (std::int64_t i = 0; i < count; ++i) rows[i].copy_(gradient[dense[static_cast<std::size_t>(first + i)]]);
    const at::Tensor all = times(rows, decoder.t());  // [row, feature]
    share_loop(count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* const whole = all.const_data_ptr<T>() + i * all.size(1);
        const std::int64_t row = dense[static_cast<std::size_t>(first + i)];
        for (std::int64_t e = features.first[static_cast<std::size_t>(row)];
             e < features.first[static_cast<std::size_t>(row) + 1]; ++e) {
          products[static_cast<std::size_t>(e)] =
              static_cast<double>(whole[features.feature[static_cast<std::size_t>(e)]]);
        }
      }
    });
  }
}

}  // namespace

at::Tensor encode(const Dictionary& dictionary, const at::Tensor& x) {
  const at::Tensor read = dictionary.input_bias.defined() ? x - dictionary.input_bias : x;
  const at::Tensor z = times(read, dictionary.encoder, dictionary.encoder_bias).contiguous();
  TRIBUTARY_EXPECT(z.is_cpu(), "features are encoded on the host");
  if (z.scalar_type() == at::kFloat) {
    activate<float>(dictionary, z);
  } else {
    activate<double>(dictionary, z);
  }
  return z;
}

at::Tensor reconstruct(const FeatureTarget& target, const at::Tensor& f, const at::Tensor& x) {
  at::Tensor written = times(f, target.decoder, target.bias);
  return target.skip.defined() ? written + times(x, target.skip) : written;
}

FeatureDifferences feature_differences(const Dictionary& dictionary, const at::Tensor& x, const at::Tensor& baseline) {
  FeatureDifferences found;
  found.first.push_back(0);
  const std::int64_t together = std::max<std::int64_t>(32, most_numbers / dictionary.features());
  for (std::int64_t first = 0; first < x.size(0); first += together) {
    const std::int64_t count = std::min(together, x.size(0) - first);
    const at::Tensor f = encode(dictionary, x.narrow(0, first, count));
    const at::Tensor other = baseline.defined() ? encode(dictionary, baseline.narrow(0, first, count)) : at::Tensor();
    if (f.scalar_type() == at::kFloat) {
      append_entries<float>(found, f, other);
    } else {
      append_entries<double>(found, f, other);
    }
  }
  return found;
}

std::vector<double> feature_gradients(const FeatureTarget& target, const FeatureDifferences& features,
                                      const at::Tensor& gradient) {
  std::vector<double> products(features.feature.size(), 0);
  const at::Tensor rows = gradient.contiguous();
  if (rows.scalar_type() == at::kFloat) {
    write_products<float>(features, target.decoder, rows, products);
  } else {
    write_products<double>(features, target.decoder, rows, products);
  }
  return products;
}

}  // namespace tributary
